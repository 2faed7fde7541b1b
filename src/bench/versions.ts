import { copyFile, open } from 'node:fs/promises';
import { createRandom } from './corpora.js';

/** Second versions of a file. The same input and options give the same version. */

/** Replaces `removeBytes` bytes at `offset` of the original by `insertBytes` random ones. */
export interface Edit {
  readonly offset: number;
  readonly removeBytes: number;
  readonly insertBytes: number;
}

const BLOCK_BYTES = 1 << 20;

/** Writes an edited copy. `edits` are in ascending order and do not overlap. */
export async function writeEditedCopy(
  from: string,
  to: string,
  { edits, seed }: { readonly edits: readonly Edit[]; readonly seed: number },
): Promise<void> {
  const next = createRandom(seed);
  const block = new Uint8Array(BLOCK_BYTES);
  const source = await open(from, 'r');
  const target = await open(to, 'w').catch(async (error: unknown) => {
    await source.close();
    throw error;
  });
  let at = 0;
  const copyUntil = async (end: number): Promise<void> => {
    while (at < end) {
      const { bytesRead } = await source.read(block, 0, Math.min(BLOCK_BYTES, end - at), at);
      if (bytesRead === 0) return;
      await target.write(block, 0, bytesRead);
      at += bytesRead;
    }
  };
  try {
    for (const { offset, removeBytes, insertBytes } of edits) {
      await copyUntil(offset);
      await target.write(Uint8Array.from({ length: insertBytes }, () => next()));
      at = offset + removeBytes;
    }
    await copyUntil(Number.POSITIVE_INFINITY);
  } finally {
    await target.close();
    await source.close();
  }
}

/** Three edits that shift what follows: 1,000 bytes in, 500 bytes out, 64 bytes in. */
export function fewEdits(sizeBytes: number): Edit[] {
  const quarter = Math.floor(sizeBytes / 4);
  return [
    { offset: quarter, removeBytes: 0, insertBytes: 1000 },
    { offset: 2 * quarter, removeBytes: Math.min(500, quarter), insertBytes: 0 },
    { offset: 3 * quarter, removeBytes: 0, insertBytes: 64 },
  ];
}

/** `count` insertions at random places. */
export function randomInsertions(options: {
  readonly sizeBytes: number;
  readonly count: number;
  readonly insertBytes: number;
  readonly seed: number;
}): Edit[] {
  const { sizeBytes, count, insertBytes, seed } = options;
  const next = createRandom(seed);
  return Array.from({ length: count }, () => Math.floor((next() / 2 ** 32) * sizeBytes))
    .sort((a, b) => a - b)
    .map((offset) => ({ offset, removeBytes: 0, insertBytes }));
}

/** A copy of an array of fp32 rows in which `count` random rows are changed by `delta`. */
export async function writeChangedRows(
  from: string,
  to: string,
  options: {
    readonly rowBytes: number;
    readonly count: number;
    readonly delta: number;
    readonly seed: number;
  },
): Promise<void> {
  const { rowBytes, count, delta, seed } = options;
  await copyFile(from, to);
  const next = createRandom(seed);
  const values = new Float32Array(rowBytes >> 2);
  const file = await open(to, 'r+');
  try {
    const rows = Math.floor((await file.stat()).size / rowBytes);
    // Each row once: a row that is changed twice would move by another amount.
    const chosen = new Set<number>();
    while (chosen.size < Math.min(count, rows)) chosen.add(next() % rows);
    for (const row of chosen) {
      await file.read(values, 0, rowBytes, row * rowBytes);
      for (let i = 0; i < values.length; i++) values[i] = (values[i] as number) + delta;
      await file.write(values, 0, rowBytes, row * rowBytes);
    }
  } finally {
    await file.close();
  }
}
