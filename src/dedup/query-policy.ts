import { HASH_BYTES, isDedupEligible, isGlobalDedupEligible } from '../hash/index.js';
import { QUERY_SPACING_CHUNKS } from './constants.js';

/**
 * What to ask globally. A server can be asked for a file's first chunk and for one in 1024 others
 * (by hash); a response brings whole xorbs around it. A question costs a round trip, so: only for
 * chunks that nobody knows yet, and at least {@link QUERY_SPACING_CHUNKS} apart in a file. Only
 * questions move that limit; chunks that are known do not, and neither does the first chunk, which
 * every file asks for: a new version that begins with something new would otherwise learn nothing
 * for 16 MiB.
 */

/** Where a file stands. */
export interface QueryState {
  /** Number in the file of the first chunk that may be asked for. */
  nextChunk: number;
  /** Chunks that were looked at; asking may be ahead of placing. */
  seenChunks: number;
}

/** A file that has asked for nothing. */
export function createQueryState(): QueryState {
  return { nextChunk: 0, seenChunks: 0 };
}

/**
 * Numbers in the batch of the chunks to ask for; moves the limit.
 * @param placedChunks chunks of the file that have been placed: they are not looked at any more
 * @param isKnown whether any table has the chunk with this number in the batch
 */
export function chunksToAsk(
  state: QueryState,
  placedChunks: number,
  hashes: Uint8Array,
  isKnown: (chunk: number) => boolean,
): number[] {
  const asked: number[] = [];
  const count = hashes.length / HASH_BYTES;
  const firstChunk = Math.max(placedChunks, state.seenChunks);
  state.seenChunks = firstChunk + count;
  for (let i = Math.max(0, state.nextChunk - firstChunk); i < count; i++) {
    const chunk = firstChunk + i;
    if (chunk < state.nextChunk) continue;
    if (chunk !== 0 && !isGlobalDedupEligible(hashes, i * HASH_BYTES)) continue;
    if (isKnown(i)) continue;
    asked.push(i);
    state.nextChunk = chunk === 0 ? 1 : chunk + QUERY_SPACING_CHUNKS;
  }
  return asked;
}

/**
 * Numbers of the chunks that a server knows the files of by, which lists one in `oneIn` and takes many
 * in one question. No spacing: a question costs no more for that.
 * @param isFirst whether a file begins with the first one, which is always listed
 */
export function denseCandidates(hashes: Uint8Array, oneIn: number, isFirst: boolean): number[] {
  const found: number[] = [];
  for (let chunk = 0; chunk * HASH_BYTES < hashes.length; chunk++) {
    const isListed = isDedupEligible(hashes, chunk * HASH_BYTES, oneIn);
    if (isListed || (isFirst && chunk === 0)) found.push(chunk);
  }
  return found;
}
