import { DEFAULT_PARAMS } from '../../chunker/index.js';
import { Budget, ordered, type Scope } from '../../flow/index.js';
import type { ComputePool, SegmentChunks, Source } from '../ports.js';
import type { Batch } from './batch.js';
import { chunkBatch, hashSeams } from './cutting.js';
import { FileTask } from './file-task.js';
import { Lane, type LaneHost } from './lane.js';
import { uploadSizes } from './sizes.js';

/** What listing the chunks of a source needs. */
export interface ListChunksOptions {
  readonly pool: ComputePool;
  readonly source: Source;
  /** Ends it early. */
  readonly scope: Scope;
  /** Called with the next chunks, in order: 32 bytes of hash each, and their lengths. Borrowed. */
  readonly onChunks: (hashes: Uint8Array, lengths: Uint32Array) => void;
}

/**
 * Cuts a source and hashes its chunks in the threads of the pool, as an upload does, and does nothing
 * else: `read → chunk → join`. Memory is the pool's.
 *
 * @throws OrbweaverError `INPUT_*` as the source deserves; the reason of the scope
 */
export async function listChunks({
  pool,
  source,
  scope: parent,
  onChunks,
}: ListChunksOptions): Promise<void> {
  const scope = parent.child();
  const sizes = uploadSizes(pool, { readConcurrency: 1, xorbMaxBytes: undefined });
  const working = new Budget({ capacityBytes: sizes.batchCount * sizes.slabBytes });
  const batches = new Set<Batch>();
  const release = (batch: Batch): void => {
    batches.delete(batch);
    batch.release();
  };
  scope.onEnd(() => batches.forEach(release));
  const parts = { pool, scope };
  const file = new FileTask(0, source, { kind: 'none' }, () => {});
  /** The unfinished chunk between two slabs. */
  const tail = new Uint8Array(DEFAULT_PARAMS.maxBytes);
  const limit = Number.POSITIVE_INFINITY;
  const tell = ordered<Batch, void>({
    scope,
    limit,
    run: (batch) => hashSeams(batch, parts),
    commit: (_, batch) => {
      onChunks(batch.hashes, batch.lengths);
      release(batch);
    },
  });
  const join = ordered<Batch, readonly SegmentChunks[]>({
    scope,
    limit,
    run: (batch) => chunkBatch(batch, parts),
    commit: async (found, batch) => {
      batch.join(found, tail);
      await tell.push(batch);
    },
  });
  const host: LaneHost = {
    pool,
    sizes,
    scope,
    onRead: () => {},
    onFatal: (error) => scope.end(error),
  };
  const lane = new Lane(host, async (batch) => {
    batches.add(batch);
    batch.working = await working.acquire(sizes.slabBytes, scope);
    await join.push(batch);
  });
  try {
    await lane.read(file);
    if (file.error !== null) throw file.error;
    await lane.flush();
    await join.drain();
    await tell.drain();
  } finally {
    lane.drop();
    scope.close();
  }
}
