import type { ClosedXorb, DedupSession } from '../../dedup/index.js';
import { OrbweaverError } from '../../errors.js';
import { HASH_BYTES } from '../../hash/index.js';
import type { Batch } from './batch.js';
import type { FileTask } from './file-task.js';

/** Chunks of one batch that go to one xorb, ascending. */
export interface NewChunks {
  readonly slot: number;
  readonly chunks: readonly number[];
}

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
  readonly failure: unknown;
}

/**
 * Places the chunks of all segments of a batch in one go, so that what is new in one slab lies side
 * by side in its xorb, whatever other lanes do at the same time. Files that failed are left out, and a
 * file that no shard can hold fails here.
 */
export function placeBatch(dedup: DedupSession, batch: Batch): PlacedBatch {
  const groups: { slot: number; chunks: number[] }[] = [];
  const closed: ClosedXorb[] = [];
  const found: FileTask[] = [];
  let newBytes = 0;
  let allBytes = 0;
  let failure: unknown;
  for (const { file, chunkStart, chunkEnd } of batch.segments) {
    if (file.error !== null || chunkStart === chunkEnd) continue;
    file.handle ??= dedup.openFile();
    try {
      const hashes = batch.hashes.subarray(HASH_BYTES * chunkStart, HASH_BYTES * chunkEnd);
      const lengths = batch.lengths.subarray(chunkStart, chunkEnd);
      const placed = dedup.place(file.handle, hashes, lengths);
      file.onChunks?.(hashes, lengths);
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
      if (placed.tooManyTerms) file.fail(tooManyTerms(file));
    } catch (error) {
      failure = error;
      break;
    }
  }
  return { groups, closed, found, newBytes, knownBytes: allBytes - newBytes, failure };
}

function tooManyTerms({ source: { name }, readBytes }: FileTask): OrbweaverError {
  return new OrbweaverError(
    'TOO_MANY_TERMS',
    `"${name}" expected to be stored in as many pieces as a shard can list, had more after ${readBytes} bytes`,
    { name, readBytes },
  );
}
