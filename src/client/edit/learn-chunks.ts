import type { ByteSpan } from '../../chunker/index.js';
import { type ChunkMap, MAX_DIRTY_RANGES } from '../../edit/index.js';
import type { Scope } from '../../flow/index.js';
import { HASH_BYTES, MerkleHash } from '../../hash/index.js';
import type { ChunkHashes } from '../ports.js';
import { type OldBytesParts, type ReadChunks, readChunks } from './old-bytes.js';

/** Questions about one stretch; two or three are the rule, and what is left then is little. */
const MAX_ROUNDS = 8;

/**
 * Learns hash and size of every chunk of a stretch of a file, which begins and ends between two chunks. The
 * store is asked; what it does not tell chunk by chunk is read (long runs of equal chunks, which are
 * small in the store).
 */
export async function learnChunks(
  parts: OldBytesParts & { readonly cas: ChunkHashes },
  scope: Scope,
  stretch: {
    readonly chunks: ChunkMap;
    readonly span: ByteSpan;
    readonly fileSizeBytes: number;
  },
): Promise<void> {
  const { chunks, span, fileSizeBytes } = stretch;
  const { cas, fileHash } = parts;
  const missingBytes = (): number =>
    chunks.missing(span.start, span.end).reduce((sum, { start, end }) => sum + end - start, 0);
  let before = missingBytes();
  for (let round = 0; round < MAX_ROUNDS && before > 0; round++) {
    const dirty = chunks.questions(span, { fileSizeBytes, limit: MAX_DIRTY_RANGES, round });
    if (dirty.length === 0) break;
    const told = await scope.call((signal) => cas.getChunkHashes(fileHash, dirty, signal));
    if (told === null) break;
    chunks.learn(told);
    const left = missingBytes();
    // Rounds differ in pairs.
    if (left === before && round % 2 === 1) break;
    before = left;
  }
  for (const missing of chunks.missing(span.start, span.end)) {
    addChunks(chunks, missing.start, await scope.race(readChunks(parts, missing)));
  }
}

/** Takes over chunks that were read, from byte `start` of the file on. */
export function addChunks(chunks: ChunkMap, start: number, { hashes, sizes }: ReadChunks): void {
  let at = start;
  for (const [i, size] of sizes.entries()) {
    chunks.add(at, size, MerkleHash.from(hashes, HASH_BYTES * i));
    at += size;
  }
}
