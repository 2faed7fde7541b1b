import { read, type Stats } from 'node:fs';
import { type FileHandle, open, opendir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { OrbweaverError } from '../../errors.js';
import { guarded, systemCode } from './disk-errors.js';

/** What the disk store does with files, each with the errors of a store. */

/** Writes all of `piece` at the end. */
export async function writeFully(file: FileHandle, piece: Uint8Array): Promise<void> {
  for (let at = 0; at < piece.length; ) {
    const { bytesWritten } = await file.write(piece, at, piece.length - at);
    at += bytesWritten;
  }
}

/** Fills `into` from `position`; an end before that is `TRUNCATED`. */
export async function readFully(
  file: FileHandle,
  into: Uint8Array,
  position: number,
  key: string,
): Promise<void> {
  for (let at = 0; at < into.length; ) {
    const bytesRead = await readSome(file, at === 0 ? into : into.subarray(at), position + at);
    if (bytesRead === 0) {
      throw new OrbweaverError('TRUNCATED', `object "${key}" ends at byte ${position + at}`, {
        key,
      });
    }
    at += bytesRead;
  }
}

/** The callback form: `FileHandle.read` costs three times as much around the same system call. */
function readSome(file: FileHandle, into: Uint8Array, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    read(file.fd, into, 0, into.length, position, (error, bytesRead) => {
      if (error === null) resolve(bytesRead);
      else reject(error);
    });
  });
}

/** Paths of all plain files below a folder, at any depth. None when there is no folder. */
export async function* filesBelow(folder: string, doing: string): AsyncGenerator<string> {
  const entries = await guarded(doing, async () => {
    try {
      return await opendir(folder);
    } catch (error) {
      if (isMissing(error)) return null;
      throw error;
    }
  });
  if (entries === null) return;
  for await (const entry of entries) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* filesBelow(path, doing);
    else if (entry.isFile()) yield path;
  }
}

/** Names in a folder; none when there is no folder. */
export async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
}

/** What `stat` says of a plain file; null when there is none. */
export async function statOrNull(path: string): Promise<Stats | null> {
  try {
    const info = await stat(path);
    return info.isFile() ? info : null;
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** Null when there is no plain file (a folder opens too, and fails only when it is read). */
export async function openExisting(
  path: string,
): Promise<{ readonly file: FileHandle; readonly sizeBytes: number } | null> {
  const file = await openOrNull(path);
  if (file === null) return null;
  try {
    const info = await file.stat();
    if (info.isFile()) return { file, sizeBytes: info.size };
  } catch (error) {
    await file.close();
    throw error;
  }
  await file.close();
  return null;
}

async function openOrNull(path: string): Promise<FileHandle | null> {
  try {
    return await open(path, 'r');
  } catch (error) {
    if (isMissing(error)) return null;
    throw error;
  }
}

/** ENOTDIR: a segment of the path is a file, so there is no such object either. */
export function isMissing(error: unknown): boolean {
  const code = systemCode(error);
  return code === 'ENOENT' || code === 'ENOTDIR';
}
