import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Edit, writeEditedCopy } from '../bench.js';

const BLOCK_BYTES = 1024 * 1024;

/**
 * Writes a second version of a file: 1,000 bytes inserted after a third, 500 bytes removed after two
 * thirds. The same input gives the same copy.
 */
export async function editedCopy(from: string, to: string): Promise<void> {
  const { size } = await stat(from);
  const third = Math.floor(size / 3);
  const removeBytes = Math.min(500, size - 2 * third);
  const edits: Edit[] = [
    { offset: third, removeBytes: 0, insertBytes: 1000 },
    { offset: 2 * third, removeBytes, insertBytes: 0 },
  ];
  await writeEditedCopy(from, to, { edits, seed: 17 });
}

/**
 * Compares `copy` with `original[offset, offset + length)` (length: to the end) byte for byte.
 * Null when they are the same, else the first position in `copy` that differs.
 */
export async function firstDifference(
  original: string,
  copy: string,
  offset = 0,
  length?: number,
): Promise<number | null> {
  const a = await open(original, 'r');
  try {
    const b = await open(copy, 'r');
    try {
      const left = Buffer.allocUnsafe(BLOCK_BYTES);
      const right = Buffer.allocUnsafe(BLOCK_BYTES);
      const expected = length ?? (await a.stat()).size - offset;
      for (let at = 0; ; ) {
        const want = Math.min(BLOCK_BYTES, expected - at);
        const got = await readFully(b, right, Math.max(1, want), at);
        if (want <= 0) return got === 0 ? null : at;
        const have = await readFully(a, left, want, offset + at);
        const n = Math.min(got, have);
        if (!left.subarray(0, n).equals(right.subarray(0, n))) {
          for (let i = 0; i < n; i++) if (left[i] !== right[i]) return at + i;
        }
        if (got !== have) return at + n;
        at += n;
        if (n === 0) return null;
      }
    } finally {
      await b.close();
    }
  } finally {
    await a.close();
  }
}

async function readFully(
  file: FileHandle,
  into: Uint8Array,
  length: number,
  at: number,
): Promise<number> {
  let done = 0;
  while (done < length) {
    const { bytesRead } = await file.read(into, done, length - done, at + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

/** Bytes of all files below a folder. */
export async function folderBytes(folder: string): Promise<number> {
  let total = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) total += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return total;
}
