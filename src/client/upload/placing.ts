import type { ClosedXorb, DedupSession } from '../../dedup/index.js';
import { HASH_BYTES } from '../../hash/index.js';
import type { Batch } from './batch.js';
import { errorOf } from './file-error.js';
import type { FileTask } from './file-task.js';
import type { NewChunks } from './pieces.js';

/** What became of the chunks of a batch. */
export interface PlacedBatch {
  /** New chunks by xorb, in the order in which the xorbs take them. */
  readonly groups: readonly NewChunks[];
  /** Xorbs that got full. */
  readonly closed: readonly ClosedXorb[];
  /** Files of which something was known from outside. */
  readonly found: readonly FileTask[];
  readonly newBytes: number;
  readonly knownBytes: number;
  /** Set when the index threw: what came before is valid, the rest has no place. */
  readonly failure: Error | null;
}

/**
 * Places the chunks of all segments of a batch in one go, so that what is new in one slab lies side
 * by side in its xorb, whatever other lanes do at the same time. Files that failed are left out.
 */
export function placeBatch(dedup: DedupSession, batch: Batch, hashes: Uint8Array): PlacedBatch {
  const groups: { slot: number; chunks: number[] }[] = [];
  const closed: ClosedXorb[] = [];
  const found: FileTask[] = [];
  let newBytes = 0;
  let allBytes = 0;
  let failure: Error | null = null;
  for (const { file, chunkStart, chunkEnd } of batch.segments) {
    if (file.error !== null || chunkStart === chunkEnd) continue;
    file.handle ??= dedup.openFile();
    try {
      const placed = dedup.place(
        file.handle,
        hashes.subarray(HASH_BYTES * chunkStart, HASH_BYTES * chunkEnd),
        batch.lengths.subarray(chunkStart, chunkEnd),
      );
      closed.push(...placed.closed);
      if (placed.outsideBytes > 0) found.push(file);
      for (const { slot, start, end } of placed.newRuns) {
        let group = groups.at(-1);
        if (group === undefined || group.slot !== slot) {
          group = { slot, chunks: [] };
          groups.push(group);
        }
        for (let i = chunkStart + start; i < chunkStart + end; i++) {
          group.chunks.push(i);
          newBytes += batch.lengths[i] as number;
        }
      }
      for (let i = chunkStart; i < chunkEnd; i++) allBytes += batch.lengths[i] as number;
    } catch (error) {
      failure = errorOf(error);
      break;
    }
  }
  return { groups, closed, found, newBytes, knownBytes: allBytes - newBytes, failure };
}
