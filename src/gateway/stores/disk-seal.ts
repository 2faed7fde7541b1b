import type { Stats } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';

/**
 * How the disk store knows that nothing has written to a file since it was stored: the microseconds
 * of its modification time are a check sum of its name, its length and the seconds. Whatever writes
 * to the file sets the time anew, and fits by chance once in a million times; a copy that keeps times
 * (`cp -p`, `rsync -a`, a backup) keeps the seal. It costs no file of its own and no read.
 *
 *     mtime   1 798 761 600 . 482 913
 *             seconds stored  seal(name, length, seconds)
 *
 * On a file system that keeps whole seconds no file is sealed, and each is read when it matters.
 */
const MICROS = 1_000_000;

/**
 * How far above a whole microsecond the time is set, and moved before it is cut to one: a quarter. A
 * time in seconds is off by up to 0.12 microseconds as a double, one in milliseconds by the same, and
 * multiplying by a thousand adds 0.125. Node to 22 stores whole microseconds, Node from 24 nanoseconds,
 * so what is read is 0 to 0.37 above the whole: with a quarter more it stays below the next.
 */
const ABOVE = 0.25;

/** FNV-1a over name, length and seconds, as microseconds. */
function sealOf(name: string, sizeBytes: number, seconds: number): number {
  let hash = 0x811c9dc5;
  const text = `${name} ${sizeBytes} ${seconds}`;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  // The low bits of FNV mix least.
  hash ^= hash >>> 15;
  return (hash >>> 0) % MICROS;
}

/** Seals a file of `name` whose last byte is written. */
export async function seal(
  file: Pick<FileHandle, 'utimes'>,
  name: string,
  sizeBytes: number,
  unixMs: number,
): Promise<void> {
  const seconds = Math.floor(unixMs / 1000);
  const time = seconds + (sealOf(name, sizeBytes, seconds) + ABOVE) / MICROS;
  await file.utimes(time, time);
}

/** True for a file that nothing has written to since it was sealed. */
export function isSealed(name: string, { size, mtimeMs }: Stats): boolean {
  const micros = Math.floor(mtimeMs * 1000 + ABOVE);
  const seconds = Math.floor(micros / MICROS);
  return micros - seconds * MICROS === sealOf(name, size, seconds);
}
