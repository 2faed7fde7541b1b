import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { link, mkdir, mkdtemp, readdir, rm, stat, statfs } from 'node:fs/promises';
import { freemem, tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { pipeline } from 'node:stream/promises';

/** Where a run of the harness keeps everything; removed at its end. */
export interface WorkFolder {
  readonly path: string;
  /** True when it is backed by memory, so that no disk is measured. */
  readonly inMemory: boolean;
  remove(): Promise<void>;
}

const MEMORY_FOLDER = '/dev/shm';
/** Left to the programs that are measured. */
const SPARE_MEMORY_BYTES = 1024 ** 3;

/** Makes a folder in memory when `neededBytes` fit there, else among the temporary files. */
export async function createWorkFolder(neededBytes: number): Promise<WorkFolder> {
  // The limit of the folder says nothing of the memory that is left.
  const enough = freemem() >= neededBytes + SPARE_MEMORY_BYTES;
  const inMemory = await statfs(MEMORY_FOLDER).then(
    ({ bavail, bsize }) => enough && bavail * bsize >= neededBytes,
    () => false,
  );
  const path = await mkdtemp(join(inMemory ? MEMORY_FOLDER : tmpdir(), 'orbweaver-bench-'));
  return { path, inMemory, remove: () => rm(path, { recursive: true, force: true }) };
}

async function filesBelow(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** Bytes of all files below a folder. */
export async function folderBytes(folder: string): Promise<number> {
  let total = 0;
  for (const path of await filesBelow(folder)) total += (await stat(path)).size;
  return total;
}

/**
 * Copies a store by hard links: its objects are never changed in place, so the copies can go their
 * own ways.
 */
export async function linkTree(from: string, to: string): Promise<void> {
  for (const path of await filesBelow(from)) {
    const target = join(to, relative(from, path));
    await mkdir(dirname(target), { recursive: true });
    await link(path, target);
  }
}

/** True when a file has exactly the bytes `[start, end)` of another one, by length and SHA-256. */
export async function isCopyOf(
  copy: string,
  original: { readonly path: string; readonly start: number; readonly end: number },
): Promise<boolean> {
  const { path, start, end } = original;
  if ((await stat(copy)).size !== end - start) return false;
  if (end === start) return true;
  return (await sha256(copy)) === (await sha256(path, { start, end: end - 1 }));
}

async function sha256(path: string, range: object = {}): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20, ...range }), hash);
  return hash.digest('hex');
}
