import type { Stats } from 'node:fs';
import { type FileHandle, open, readlink, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { OrbweaverError } from '../errors.js';
import { outputError } from './errno.js';
import { makeFolder } from './folder.js';
import { type LeftPart, partPath, sweepParts } from './part-name.js';

/** Where an output is going to lie, and how its unfinished file is made there. */
export interface OutputPlace {
  /** Its path, for messages. */
  readonly shown: string;
  /** Looks, and makes nothing. Called once. */
  find(): Promise<FoundPlace>;
  /** Makes the unfinished file, for reading and writing. @throws OrbweaverError */
  open(part: string | Buffer): Promise<FileHandle>;
  /** An unfinished file of an earlier run takes its place. */
  adopt(file: FileHandle): Promise<void>;
  /** The file is complete and gets its name next. */
  finish?(file: FileHandle): Promise<void>;
  /** It has its name, or is gone. */
  leave?(): void;
}

/** What was found before anything is made. */
export interface FoundPlace {
  /** What the file will be called. */
  readonly target: string | Buffer;
  /** Path beside which an unfinished file may be left for later; null: none may be. */
  readonly beside: string | null;
  /** A name for an unfinished file that is not left. */
  plainPart(): string | Buffer;
  /** What earlier runs left there. */
  readonly left: readonly LeftPart[];
}

/** Links that are followed to the target, as many as Linux does. */
const MAX_LINKS = 40;

/** A path, links followed: what is replaced keeps its rights and, where that is allowed, its owner. */
export function filePlace(path: string, options: { readonly sweeps: boolean }): OutputPlace {
  let looking: Promise<OldFile> | undefined;
  const look = (): Promise<OldFile> => {
    looking ??= findTarget(path);
    return looking;
  };
  return {
    shown: path,
    async find() {
      const { target, stats } = await look();
      const isReplaceable = stats === null || stats.isFile();
      return {
        target,
        beside: target,
        plainPart: () => partPath(target),
        left: options.sweeps && isReplaceable ? await sweepParts(target) : [],
      };
    },
    open: async (part) => openBeside({ ...(await look()), part, path }),
    async adopt(file) {
      const { stats } = await look();
      if (stats !== null) await keepRights(file, stats);
    },
  };
}

/** What is there already: the file behind all links, of which rights and owner stay. */
interface OldFile {
  readonly target: string;
  /** Null: nothing is there. */
  readonly stats: Stats | null;
}

async function findTarget(path: string): Promise<OldFile> {
  let target = path;
  // Not `realpath`: a link may lead to a file that is still to be made.
  for (let hops = 0; hops < MAX_LINKS; hops++) {
    const link = await readlink(target).catch(() => null);
    if (link === null) return { target, stats: await stat(target).catch(() => null) };
    target = resolve(dirname(target), link);
  }
  const message = `"${path}" expected a writable output, got links that go in a circle`;
  throw new OrbweaverError('OUTPUT_UNWRITABLE', message, { path });
}

async function openBeside({
  path,
  target,
  part,
  stats,
}: OldFile & { readonly path: string; readonly part: string | Buffer }): Promise<FileHandle> {
  try {
    if (stats !== null && !stats.isFile()) {
      const got = stats.isDirectory() ? 'a folder' : 'a pipe or device';
      const message = `"${path}" expected a regular file or nothing, got ${got}`;
      throw new OrbweaverError('OUTPUT_UNWRITABLE', message, { path });
    }
    if (stats === null) await makeFolder(dirname(target));
    // 'wx': a link planted under the unfinished name is an error, never followed.
    const file = await open(part, 'wx+', stats === null ? 0o666 : 0o600);
    if (stats !== null) await keepRights(file, stats);
    return file;
  } catch (error) {
    throw outputError(error, path);
  }
}

/** As far as the system lets us: the owner first, because a change of owner takes rights away. */
async function keepRights(file: FileHandle, { mode, uid, gid }: Stats): Promise<void> {
  const own = await file.stat();
  if (own.uid !== uid || own.gid !== gid) await file.chown(uid, gid).catch(() => {});
  await file.chmod(mode & 0o7777).catch(() => {});
}
