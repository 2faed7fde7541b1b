import { HASH_BYTES, isGlobalDedupEligible } from '../hash/index.js';
import { QUERY_SPACING_CHUNKS } from './constants.js';

/**
 * What to ask globally. A server can be asked for a file's first chunk and for one in 1024 others
 * (by hash); an answer brings whole xorbs around it. A question costs a round trip, so: only for
 * chunks that nobody knows yet, and at least {@link QUERY_SPACING_CHUNKS} apart in a file. Only
 * questions move that limit; chunks that are known do not.
 */

/** Where a file stands. */
export interface QueryState {
  /** Number in the file of the first chunk that may be asked for. */
  nextChunk: number;
}

/** A file that has asked for nothing. */
export function createQueryState(): QueryState {
  return { nextChunk: 0 };
}

/**
 * Numbers in the batch of the chunks to ask for; moves the limit.
 * @param firstChunk number in the file of the batch's first chunk
 * @param isKnown whether any table has the chunk with this number in the batch
 */
export function chunksToAsk(
  state: QueryState,
  firstChunk: number,
  hashes: Uint8Array,
  isKnown: (chunk: number) => boolean,
): number[] {
  const asked: number[] = [];
  const count = hashes.length / HASH_BYTES;
  for (let i = Math.max(0, state.nextChunk - firstChunk); i < count; i++) {
    const chunk = firstChunk + i;
    if (chunk < state.nextChunk) continue;
    if (chunk !== 0 && !isGlobalDedupEligible(hashes, i * HASH_BYTES)) continue;
    if (isKnown(i)) continue;
    asked.push(i);
    state.nextChunk = chunk + QUERY_SPACING_CHUNKS;
  }
  return asked;
}
