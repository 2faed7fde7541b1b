import { isOrbweaverError } from '../../errors.js';
import type { Scope } from '../../flow/index.js';
import { HASH_BYTES } from '../../hash/index.js';
import type { ComputePool, SegmentChunks } from '../ports.js';
import type { Batch } from './batch.js';

/** The two tasks that turn a slab of bytes into chunks, for uploads and for whoever only lists them. */
export interface CuttingParts {
  readonly pool: ComputePool;
  readonly scope: Scope;
}

/** Cuts, and the hashes of all chunks that do not depend on what lies before the slab. */
export async function chunkBatch(
  batch: Batch,
  parts: CuttingParts,
): Promise<readonly SegmentChunks[]> {
  const { pool } = parts;
  const found = await again(parts, () =>
    batch.use((slab) => pool.chunk(slab, batch.slabSegments())),
  );
  // Without shared memory the slab is away while it is digested.
  if (!pool.sharedMemory) await batch.unused();
  return found;
}

/** The hashes that were missing: of chunks that begin in the slab before. */
export async function hashSeams(batch: Batch, parts: CuttingParts): Promise<void> {
  const { starts, lengths, hashes, seams } = batch;
  if (seams.length === 0) return;
  const seamStarts = seams.map((chunk) => starts[chunk] as number);
  const seamLengths = seams.map((chunk) => lengths[chunk] as number);
  const found = await again(parts, () =>
    batch.use((slab) => parts.pool.hash(slab, seamStarts, seamLengths)),
  );
  seams.forEach((chunk, i) => {
    hashes.set(found.subarray(HASH_BYTES * i, HASH_BYTES * (i + 1)), HASH_BYTES * chunk);
  });
}

/** A task that only reads may be repeated when its worker died; the bytes are still there. */
async function again<T>({ pool, scope }: CuttingParts, task: () => Promise<T>): Promise<T> {
  try {
    return await task();
  } catch (error) {
    const died = isOrbweaverError(error) && error.code === 'WORKER_FAILED';
    if (!died || !pool.sharedMemory || scope.ended) throw error;
    return task();
  }
}
