import type { Stats } from 'node:fs';
import { type FileHandle, link, open, rename, unlink } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Clock } from '../../flow/index.js';
import { makeFolder, syncFolder } from '../../io/index.js';
import type { ObjectBody, PutOptions } from '../ports.js';
import { lacksHardLinks, systemCode } from './disk-errors.js';
import { isMissing, statOrNull, writeFully } from './disk-files.js';
import { seal } from './disk-seal.js';
import type { TemporaryFiles } from './disk-tmp.js';
import type { OpenFiles } from './open-files.js';
import { bodyPieces } from './store-body.js';

/** How a file gets its name: complete, flushed, and in one step. */

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
    return await finish(temporary, path, replace, place);
  } finally {
    await unlink(temporary).catch(() => undefined);
  }
}

/** A file that is going to be another one. */
export interface FilePart {
  readonly path: string;
  /** True for the file that was meant, as far as one can tell before it is moved. */
  readonly isMeant: (info: Stats) => boolean;
  readonly endBytes: number;
  readonly tail: Uint8Array;
}

/**
 * The file itself moves: it is taken away from its name first, so that of two who want it one gets
 * it, and nobody sees it while it is cut and what follows is written behind. False when `path` is taken
 * and not to be replaced; null when the file is not there or another one.
 */
export async function putPart(
  path: string,
  { path: from, isMeant, endBytes, tail }: FilePart,
  { replace = false }: PutOptions,
  place: PutPlace,
): Promise<boolean | null> {
  const info = await statOrNull(from);
  if (info === null || !isMeant(info)) return null;
  if (!replace && (await statOrNull(path)) !== null) return false;
  const temporary = place.temporary.newPath();
  await place.files.forget(from);
  try {
    await rename(from, temporary);
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
  try {
    const file = await place.files.withRoom(() => open(temporary, 'r+'));
    try {
      if (info.size > endBytes) await file.truncate(endBytes);
      for (let at = 0; at < tail.length; ) {
        at += (await file.write(tail, at, tail.length - at, endBytes + at)).bytesWritten;
      }
      await seal(file, basename(path), endBytes + tail.length, place.clock.unixMs());
      if (place.sync) await file.sync();
    } finally {
      await file.close();
    }
    return await finish(temporary, path, replace, place);
  } finally {
    await unlink(temporary).catch(() => undefined);
  }
}

/** Gives a complete file its name. */
async function finish(
  temporary: string,
  path: string,
  replace: boolean,
  place: PutPlace,
): Promise<boolean> {
  const inserted = await inFolder(path, place, async () => {
    if (!replace) return nameAtomically(temporary, path);
    await rename(temporary, path);
    await place.files.forget(path);
    return true;
  });
  if (place.sync) await syncFolder(dirname(path));
  return inserted;
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
  return inFolder(path, { sync: false }, async () => {
    try {
      await (await place.files.withRoom(() => open(path, 'wx'))).close();
      return true;
    } catch (error) {
      if (systemCode(error) === 'EEXIST') return false;
      throw error;
    }
  });
}

/** Runs what needs the folder of `path`, once more when that had to be made: most are there. */
async function inFolder(
  path: string,
  options: { readonly sync: boolean },
  run: () => Promise<boolean>,
): Promise<boolean> {
  try {
    return await run();
  } catch (error) {
    if (!isMissing(error)) throw error;
    await makeFolder(dirname(path), { sync: options.sync });
    return run();
  }
}

/** True when the name is new. A file system without hard links may have it written twice. */
async function nameAtomically(temporary: string, path: string): Promise<boolean> {
  try {
    await link(temporary, path);
    return true;
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return false;
    if (!lacksHardLinks(error)) throw error;
  }
  if ((await statOrNull(path)) !== null) return false;
  await rename(temporary, path);
  return true;
}
