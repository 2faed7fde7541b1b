import { link, open, rename, unlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { OrbweaverError } from '../../errors.js';
import type {
  ObjectBody,
  ObjectEntry,
  ObjectInfo,
  ObjectRange,
  ObjectReader,
  ObjectStore,
} from '../ports.js';
import { systemCode } from './disk-errors.js';
import {
  filesBelow,
  guarded,
  infoOf,
  isMissing,
  makeFolder,
  openExisting,
  readFully,
  syncFolder,
  writeFully,
} from './disk-files.js';
import { keySegments, pathSegments, prefixSegments } from './key-path.js';
import { createOpenFiles, type OpenFiles } from './open-files.js';
import { bodyPieces, checkRange } from './store-body.js';

/**
 * Objects as files below one folder:
 *
 *   <folder>/xorbs/ab/abcd…        the object `xorbs/abcd…` (fan-out by the first two characters)
 *   <folder>/chunks/ab/abcd…/1234… the object `chunks/abcd…/1234…`
 *   <folder>/tmp/<random>          being written; linked to its final name when complete
 *
 * A file under a final name is complete: it was written and flushed under a temporary name and then
 * linked, which fails when the name is taken. Where a file system has no hard links, the temporary
 * file is renamed instead: two writers of one key then write the same content, because keys name it.
 */

/** Settings of {@link createDiskStore}. */
export interface DiskStoreOptions {
  /**
   * Flush objects and folders to the disk before `put` resolves, so that what was acknowledged
   * survives a power cut. Empty objects (dedup index entries) are never flushed one by one: losing
   * one costs a dedup hit, not data. @default true
   */
  readonly sync?: boolean;
  /** The time, for the age of leftovers. @default Date.now */
  readonly nowMs?: () => number;
}

/** Temporary files older than this were left by a process that died. */
export const LEFTOVER_AGE_MS: number = 60 * 60 * 1000;

/** Bytes per read of a stream: large enough that system calls do not show, small in memory. */
const READ_PIECE_BYTES = 256 * 1024;

const TMP_FOLDER = 'tmp';

/** Answers of `link` that mean "this file system has none". */
const NO_HARD_LINKS: ReadonlySet<string> = new Set([
  'EPERM',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EMLINK',
]);

/**
 * Opens (and makes) a store in `directory` and removes leftovers of crashed writers.
 *
 * @throws OrbweaverError `STORAGE_FAILED`, `DISK_FULL`
 * @example
 * const store = await createDiskStore('/var/lib/orbweaver');
 */
export async function createDiskStore(
  directory: string,
  options: DiskStoreOptions = {},
): Promise<ObjectStore> {
  const folder = resolve(directory);
  const sync = options.sync ?? true;
  const nowMs = options.nowMs ?? Date.now;
  const tmp = join(folder, TMP_FOLDER);
  await guarded('opening the store', async () => {
    await makeFolder(tmp, { sync });
    await removeLeftovers(tmp, nowMs() - LEFTOVER_AGE_MS);
  });
  const pathOf = (key: string): string => join(folder, ...pathSegments(keySegments(key)));
  const files = createOpenFiles(nowMs);
  const paths: PutPaths = { tmp, sync, files };

  return {
    async head(key: string): Promise<ObjectInfo | null> {
      const path = pathOf(key);
      return guarded(`looking at "${key}"`, async () => infoOf(path));
    },

    async read(key: string, range?: ObjectRange): Promise<Uint8Array | null> {
      const path = pathOf(key);
      return guarded(`reading "${key}"`, async () => {
        const opened = await files.withRoom(() => openExisting(path));
        if (opened === null) return null;
        const { file, sizeBytes } = opened;
        try {
          const { start, end } = checkRange(key, range, sizeBytes);
          const bytes = new Uint8Array(end - start);
          await readFully(file, bytes, start, key);
          return bytes;
        } finally {
          await file.close();
        }
      });
    },

    async *stream(key: string, range?: ObjectRange): AsyncGenerator<Uint8Array> {
      const path = pathOf(key);
      const doing = `reading "${key}"`;
      const opened = await guarded(doing, () => files.withRoom(() => openExisting(path)));
      if (opened === null) throw new OrbweaverError('NOT_FOUND', `no object "${key}"`, { key });
      const { file, sizeBytes } = opened;
      try {
        const { start, end } = checkRange(key, range, sizeBytes);
        for (let at = start; at < end; at += READ_PIECE_BYTES) {
          // A new array each time: the consumer may still hold the one before (a socket queue).
          const piece = new Uint8Array(Math.min(READ_PIECE_BYTES, end - at));
          await guarded(doing, () => readFully(file, piece, at, key));
          yield piece;
        }
      } finally {
        await file.close();
      }
    },

    async open(key: string): Promise<ObjectReader> {
      const path = pathOf(key);
      const doing = `reading "${key}"`;
      const leased = await guarded(doing, () => files.lease(path));
      if (leased === null) throw new OrbweaverError('NOT_FOUND', `no object "${key}"`, { key });
      return {
        readAt: (into, offset) => guarded(doing, () => readFully(leased.file, into, offset, key)),
        close: () => leased.release(),
      };
    },

    async put(key: string, body: ObjectBody): Promise<boolean> {
      const path = pathOf(key);
      return guarded(`storing "${key}"`, () => putObject(path, body, paths));
    },

    async *list(prefix: string): AsyncGenerator<ObjectEntry> {
      const [first, second] = prefixSegments(prefix) as [string, string?];
      const doing = `listing "${prefix}"`;
      // Below a fan-out folder lie objects (two segments) or folders of objects (three).
      const root =
        second === undefined ? join(folder, first) : join(folder, ...pathSegments([first, second]));
      for await (const path of filesBelow(root, doing)) {
        const info = await guarded(doing, () => infoOf(path));
        if (info === null) continue;
        yield { key: keyOf(folder, path), ...info };
      }
    },

    async delete(key: string): Promise<boolean> {
      const path = pathOf(key);
      return guarded(`deleting "${key}"`, async () => {
        if ((await infoOf(path)) === null) return false;
        await files.forget(path);
        try {
          await unlink(path);
          return true;
        } catch (error) {
          if (isMissing(error)) return false;
          throw error;
        }
      });
    },

    close: () => files.closeIdle(),
  };
}

interface PutPaths {
  readonly tmp: string;
  readonly sync: boolean;
  readonly files: OpenFiles;
}

async function putObject(path: string, body: ObjectBody, options: PutPaths): Promise<boolean> {
  if ((await infoOf(path)) !== null) return false;
  if (body instanceof Uint8Array && body.length === 0) return putEmpty(path, options);
  const temporary = join(options.tmp, globalThis.crypto.randomUUID());
  try {
    const file = await options.files.withRoom(() => open(temporary, 'wx'));
    try {
      for await (const piece of bodyPieces(body)) await writeFully(file, piece);
      if (options.sync) await file.sync();
    } finally {
      await file.close();
    }
    await makeFolder(dirname(path), options);
    const inserted = await nameAtomically(temporary, path);
    if (options.sync) await syncFolder(dirname(path));
    return inserted;
  } finally {
    await unlink(temporary).catch(() => undefined);
  }
}

/** Nothing to write: creating the name is the whole, atomic, act. */
async function putEmpty(path: string, options: PutPaths): Promise<boolean> {
  await makeFolder(dirname(path), { ...options, sync: false });
  try {
    await (await options.files.withRoom(() => open(path, 'wx'))).close();
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    throw error;
  }
}

async function nameAtomically(temporary: string, path: string): Promise<boolean> {
  try {
    await link(temporary, path);
    return true;
  } catch (error) {
    const code = systemCode(error);
    if (code === 'EEXIST') return false;
    if (!NO_HARD_LINKS.has(code)) throw error;
  }
  if ((await infoOf(path)) !== null) return false;
  await rename(temporary, path);
  return true;
}

/** `<folder>/a/bc/bcd/e` is the key `a/bcd/e`: the fan-out folder drops out. */
function keyOf(folder: string, path: string): string {
  const [first, , ...rest] = path.slice(folder.length + 1).split(/[\\/]/) as [string, string];
  return [first, ...rest].join('/');
}

async function removeLeftovers(tmp: string, olderThanMs: number): Promise<void> {
  for await (const path of filesBelow(tmp, 'cleaning the store')) {
    const info = await infoOf(path);
    if (info !== null && info.modifiedMs < olderThanMs) await unlink(path).catch(() => undefined);
  }
}
