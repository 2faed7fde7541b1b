import { link, mkdir, mkdtemp, open, readdir, rm, stat, statfs } from 'node:fs/promises';
import { freemem, tmpdir } from 'node:os';
import { join } from 'node:path';

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
  const fits = await statfs(MEMORY_FOLDER).then(
    ({ bavail, bsize }) => enough && bavail * bsize >= neededBytes,
    () => false,
  );
  const path = await mkdtemp(join(fits ? MEMORY_FOLDER : tmpdir(), 'orbweaver-bench-'));
  return { path, inMemory: fits, remove: () => rm(path, { recursive: true, force: true }) };
}

/** Bytes of all files below a folder. */
export async function folderBytes(folder: string): Promise<number> {
  let total = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) total += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return total;
}

/**
 * Copies a store by hard links: its objects are never changed in place, so the copies can go their
 * own ways.
 */
export async function linkTree(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const source = join(from, entry.name);
    const target = join(to, entry.name);
    if (entry.isDirectory()) await linkTree(source, target);
    else await link(source, target);
  }
}

const COMPARE_BYTES = 4 << 20;

/** True when a file is exactly the bytes `[start, end)` of another one. */
export async function isCopyOf(
  copy: string,
  original: { readonly path: string; readonly start: number; readonly end: number },
): Promise<boolean> {
  const { start, end } = original;
  if ((await stat(copy)).size !== end - start) return false;
  const left = await open(original.path, 'r');
  try {
    const right = await open(copy, 'r');
    try {
      const a = Buffer.allocUnsafe(COMPARE_BYTES);
      const b = Buffer.allocUnsafe(COMPARE_BYTES);
      for (let at = start; at < end; at += COMPARE_BYTES) {
        const length = Math.min(COMPARE_BYTES, end - at);
        await left.read(a, 0, length, at);
        await right.read(b, 0, length, at - start);
        if (a.compare(b, 0, length, 0, length) !== 0) return false;
      }
      return true;
    } finally {
      await right.close();
    }
  } finally {
    await left.close();
  }
}
