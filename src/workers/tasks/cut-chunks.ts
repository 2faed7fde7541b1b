import { nextCut } from '../../chunker/index.js';
import type { CutJob } from '../../chunker/ports.js';
import { HASH_BYTES } from '../../hash/index.js';
import type { Kernels } from '../../kernels/index.js';

/**
 * Chunks are hashed in runs of this many bytes: long enough that a call costs nothing against it, and
 * short enough that the bytes that the scan has just read are still in the core's cache.
 */
const RUN_BYTES = 256 * 1024;

/** Does the job and returns how many chunks there are: in one call of the kernels, if they take it. */
export function cutChunks(
  kernels: Pick<Kernels, 'scanner' | 'hasher' | 'cutter'>,
  key: Uint8Array,
  job: CutJob,
): number {
  const count = kernels.cutter?.cut(key, job) ?? -1;
  if (count >= 0) return count;
  return cutOneByOne(kernels, key, job);
}

/** Chunk by chunk: this is what a cutter's result is defined by. */
function cutOneByOne(
  { scanner, hasher }: Pick<Kernels, 'scanner' | 'hasher'>,
  key: Uint8Array,
  { data, start, end, isLast, params, ends, hashes }: CutJob,
): number {
  const bytes = data.subarray(0, end);
  let count = 0;
  let hashed = 0;
  let runStart = start;
  let chunkStart = start;
  const hashRun = (): void => {
    const run = ends.subarray(hashed, count);
    hasher.keyedMany(key, bytes, runStart, run, run.length, hashes, HASH_BYTES * hashed);
    hashed = count;
    runStart = chunkStart;
  };
  while (chunkStart < end) {
    const cut = nextCut(scanner, bytes, chunkStart, params);
    if (cut === null && !isLast) break;
    chunkStart = cut ?? end;
    ends[count++] = chunkStart;
    if (chunkStart - runStart >= RUN_BYTES) hashRun();
  }
  if (hashed < count) hashRun();
  return count;
}
