import { type FileChunks, placeChunks } from '../../dedup/index.js';
import { ChunkMap, MAX_DIRTY_RANGES } from '../../edit/index.js';
import type { Clock, Scope } from '../../flow/index.js';
import { HASH_BYTES, type MerkleHash } from '../../hash/index.js';
import type { Hasher } from '../../hash/ports.js';
import type { Term } from '../../plan/index.js';
import { addChunks } from '../edit/learn-chunks.js';
import { type OldBytesParts, readChunks } from '../edit/old-bytes.js';
import type { ChunkHashes, ComputePool } from '../ports.js';
import type { Knowledge } from './knowledge.js';

/** What learning from listings needs. */
export interface ListingParts {
  readonly cas: ChunkHashes & OldBytesParts['cas'];
  readonly pool: ComputePool;
  readonly hasher: Hasher;
  readonly clock: Clock;
  readonly knowledge: Pick<Knowledge, 'learnRuns'>;
  readonly scope: Scope;
}

/** What was learnt, and what it cost. */
export interface ListingResult {
  readonly knownChunks: number;
  /** Questions about the chunks of the file. */
  readonly requestCount: number;
  /** Bytes of xorbs that were read, because the store did not tell the hashes of some chunks. */
  readonly readBytes: number;
  /** False: the store does not list the chunks of a file. */
  readonly isOffered: boolean;
}

/** Terms that are asked about together: as many windows as one question has. */
const BLOCK_BYTES: number = 128 * 1024 * 1024;

/** Two questions tell of nearly all chunks, each with windows where the other one has none. */
const MAX_ROUNDS = 6;

/** What is left is read if it is no more than this part of what was asked about: downloads cost, too. */
const MOST_READ_SHARE = 1 / 16;

/**
 * Learns the chunks of a stored file from any store that offers `file-chunk-hashes`, as the Hub does: hashes
 * from there, places from the terms. It costs about 160 bytes for each chunk, 1/400 of the file (measured),
 * and nothing is read of it but a chunk here and there.
 *
 * @throws OrbweaverError what questions and reads throw
 */
export async function learnListing(
  fileHash: MerkleHash,
  terms: readonly Term[],
  parts: ListingParts,
): Promise<ListingResult> {
  const fileSizeBytes = terms.reduce((sum, { unpackedBytes }) => sum + unpackedBytes, 0);
  const asker = new Asker(fileHash, fileSizeBytes, parts);
  let knownChunks = 0;
  let start = 0;
  for (const block of blocksOf(terms)) {
    const end = start + block.reduce((sum, { unpackedBytes }) => sum + unpackedBytes, 0);
    const chunks = await asker.list(start, end);
    if (!asker.isOffered) break;
    // Where it does not fit, nothing is said about it.
    const placed = chunks === null ? null : placeChunks(block, chunks);
    if (placed !== null) knownChunks += parts.knowledge.learnRuns(placed.runs);
    start = end;
  }
  const { requestCount, readBytes, isOffered } = asker;
  return { knownChunks, requestCount, readBytes, isOffered };
}

class Asker {
  requestCount = 0;
  readBytes = 0;
  isOffered = true;
  readonly #fileHash: MerkleHash;
  readonly #fileSizeBytes: number;
  readonly #parts: ListingParts;

  constructor(fileHash: MerkleHash, fileSizeBytes: number, parts: ListingParts) {
    this.#fileHash = fileHash;
    this.#fileSizeBytes = fileSizeBytes;
    this.#parts = parts;
  }

  /** All chunks of bytes `[start, end)`, which begin and end between two; null: not all can be told. */
  async list(start: number, end: number): Promise<FileChunks | null> {
    const map = new ChunkMap();
    await this.#ask(map, start, end);
    const missing = map.missing(start, end);
    const missingBytes = missing.reduce((sum, span) => sum + span.end - span.start, 0);
    if (missingBytes > MOST_READ_SHARE * (end - start)) return null;
    const { scope, cas, pool, hasher, clock } = this.#parts;
    const fileHash = this.#fileHash;
    const onFetched = (bytes: number): void => {
      this.readBytes += bytes;
    };
    const reading = { cas, pool, hasher, clock, fileHash, onFetched };
    for (const span of missing) {
      addChunks(map, span.start, await scope.race(readChunks(reading, span)));
    }
    const listed = map.list(start, end);
    if (listed === null) return null;
    const hashes = new Uint8Array(HASH_BYTES * listed.length);
    for (const [i, { hash }] of listed.entries()) hashes.set(hash.bytes, HASH_BYTES * i);
    return { hashes, lengths: Uint32Array.from(listed, ({ sizeBytes }) => sizeBytes) };
  }

  async #ask(map: ChunkMap, start: number, end: number): Promise<void> {
    const { cas, scope } = this.#parts;
    const fileSizeBytes = this.#fileSizeBytes;
    const countMissing = (): number =>
      map.missing(start, end).reduce((sum, span) => sum + span.end - span.start, 0);
    let before = countMissing();
    for (let round = 0; round < MAX_ROUNDS && before > 0; round++) {
      const dirty = map.questions(
        { start, end },
        { fileSizeBytes, limit: MAX_DIRTY_RANGES, round },
      );
      if (dirty.length === 0) return;
      this.requestCount++;
      const told = await scope.call((signal) => cas.getChunkHashes(this.#fileHash, dirty, signal));
      this.isOffered = told !== null;
      // Another size is another file.
      if (told === null || told.fileSizeBytes !== fileSizeBytes) return;
      map.learn(told);
      const left = countMissing();
      if (left === before && round % 2 === 1) return;
      before = left;
    }
  }
}

function blocksOf(terms: readonly Term[]): Term[][] {
  const blocks: Term[][] = [];
  let sizeBytes = Number.POSITIVE_INFINITY;
  for (const term of terms) {
    if (sizeBytes >= BLOCK_BYTES) {
      blocks.push([]);
      sizeBytes = 0;
    }
    blocks.at(-1)?.push(term);
    sizeBytes += term.unpackedBytes;
  }
  return blocks;
}
