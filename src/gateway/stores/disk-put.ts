import { type FileHandle, link, open, rename, unlink } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Clock } from '../../flow/index.js';
import type { ObjectBody, PutOptions } from '../ports.js';
import { systemCode } from './disk-errors.js';
import { makeFolder, statOrNull, syncFolder, writeFully } from './disk-files.js';
import { seal } from './disk-seal.js';
import type { TemporaryFiles } from './disk-tmp.js';
import type { OpenFiles } from './open-files.js';
import { bodyPieces } from './store-body.js';

/** How a file gets its name: complete, flushed, and in one step. */

/** `link` says by one of these that a file system has no hard links. */
const NO_HARD_LINKS: ReadonlySet<string> = new Set([
  'EPERM',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EMLINK',
]);

export interface PutPlace {
  readonly temporary: TemporaryFiles;
  readonly sync: boolean;
  readonly files: OpenFiles;
  readonly clock: Clock;
}

/** Stores `body` at `path`; false when it is taken and not to be replaced. */
export async function putObject(
  path: string,
  body: ObjectBody,
  { replace = false }: PutOptions,
  place: PutPlace,
): Promise<boolean> {
  if (!replace && (await statOrNull(path)) !== null) return false;
  if (body instanceof Uint8Array && body.length === 0 && !replace) return putEmpty(path, place);
  await place.temporary.clean();
  const temporary = place.temporary.newPath();
  try {
    await writeObject(temporary, basename(path), body, place);
    await makeFolder(dirname(path), place);
    let inserted = true;
    if (replace) {
      await rename(temporary, path);
      await place.files.forget(path);
    } else {
      inserted = await nameAtomically(temporary, path);
    }
    if (place.sync) await syncFolder(dirname(path));
    return inserted;
  } finally {
    await unlink(temporary).catch(() => undefined);
  }
}

async function writeObject(
  path: string,
  name: string,
  body: ObjectBody,
  { files, sync, clock }: PutPlace,
): Promise<void> {
  const file: FileHandle = await files.withRoom(() => open(path, 'wx'));
  try {
    let sizeBytes = 0;
    for await (const piece of bodyPieces(body)) {
      await writeFully(file, piece);
      sizeBytes += piece.length;
    }
    await seal(file, name, sizeBytes, clock.unixMs());
    if (sync) await file.sync();
  } finally {
    await file.close();
  }
}

/** Nothing to write: creating the name is the whole, atomic, act. */
async function putEmpty(path: string, place: PutPlace): Promise<boolean> {
  await makeFolder(dirname(path), { sync: false });
  try {
    await (await place.files.withRoom(() => open(path, 'wx'))).close();
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
  if ((await statOrNull(path)) !== null) return false;
  await rename(temporary, path);
  return true;
}
