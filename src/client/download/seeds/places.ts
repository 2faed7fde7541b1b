import { isOrbweaverError } from '../../../errors.js';
import {
  HASH_BYTES,
  isGlobalDedupEligible,
  keyedChunkHash,
  MerkleHash,
} from '../../../hash/index.js';
import type { Reconstruction, Term } from '../../../plan/index.js';
import { decodeShard, HashTable, shardKeyOf } from '../../../shard/index.js';
import type { Transfer } from '../block.js';
import type { Seed } from './cut.js';

/**
 * Which chunks of which xorbs a seed has. A reconstruction names chunks by xorb and number, a seed has
 * hashes: two things of every store bring them together.
 *
 * - A seed that is stored there itself (an older version): its own reconstruction lists its chunks in
 *   order, so each gets its xorb and number.
 * - Of any other seed, single chunks are asked for as an upload asks: the response is a shard that lists
 *   the hashes of whole xorbs.
 */

/** Chunks `[chunkStart, chunkEnd)` of a xorb are chunks `first` and following of a seed. */
interface Place {
  readonly chunkStart: number;
  readonly chunkEnd: number;
  readonly seed: Seed;
  readonly first: number;
}

/** Bytes of the wanted file that lie in a seed. */
export interface SeedCopy {
  /** In the wanted file. */
  readonly offset: number;
  readonly seed: Seed;
  readonly first: number;
  readonly count: number;
}

/** A seed is asked for so many bytes of its reconstruction at a time. */
const BLOCK_BYTES: number = 1024 * 1024 * 1024;
/** Chunks of one seed that a store is asked about: one in 1024 can be, so this is some 8 GiB. */
const MAX_QUERIES = 128;

export class SeedPlaces {
  readonly #places = new Map<string, Place[]>();
  /** Lengths of all chunks, of xorbs that a shard listed. */
  readonly #lengths = new Map<string, Uint32Array>();

  get isEmpty(): boolean {
    return this.#places.size === 0;
  }

  add(xorb: MerkleHash, place: Place): void {
    const key = xorb.toString();
    const known = this.#places.get(key);
    if (known === undefined) this.#places.set(key, [place]);
    else known.push(place);
  }

  listed(xorb: MerkleHash, lengths: Uint32Array): void {
    this.#lengths.set(xorb.toString(), lengths);
  }

  /**
   * What seeds have of a term. A chunk that no seed has hides where those behind it lie, unless they
   * can be counted from the end of the term, or a shard said how long it is.
   */
  copiesOf(term: Term, offset: number): SeedCopy[] {
    const key = term.xorb.toString();
    const places = this.#places.get(key);
    if (places === undefined) return [];
    const listed = this.#lengths.get(key);
    const at = (chunk: number): Place | undefined =>
      places.find(({ chunkStart, chunkEnd }) => chunk >= chunkStart && chunk < chunkEnd);
    const lengthOf = (chunk: number, place: Place | undefined): number | undefined =>
      place === undefined
        ? listed?.[chunk]
        : place.seed.lengths[place.first + chunk - place.chunkStart];
    const copies: SeedCopy[] = [];
    const take = (chunk: number, place: Place, position: number): void => {
      const first = place.first + chunk - place.chunkStart;
      copies.push({ offset: position, seed: place.seed, first, count: 1 });
    };
    let chunk = term.chunkStart;
    let position = offset;
    for (; chunk < term.chunkEnd; chunk++) {
      const place = at(chunk);
      const length = lengthOf(chunk, place);
      if (length === undefined) break;
      if (place !== undefined) take(chunk, place, position);
      position += length;
    }
    let end = offset + term.unpackedBytes;
    for (let back = term.chunkEnd - 1; back > chunk; back--) {
      const place = at(back);
      const length = lengthOf(back, place);
      if (length === undefined) break;
      end -= length;
      if (place !== undefined) take(back, place, end);
    }
    return joined(copies);
  }
}

/** Copies that follow each other in the file and in their seed as one. */
function joined(copies: readonly SeedCopy[]): SeedCopy[] {
  const all: SeedCopy[] = [];
  for (const copy of [...copies].sort((a, b) => a.offset - b.offset)) {
    const last = all.at(-1);
    const isNext =
      last !== undefined &&
      last.seed === copy.seed &&
      last.first + last.count === copy.first &&
      last.offset + sizeOfCopy(last) === copy.offset;
    if (isNext) all[all.length - 1] = { ...last, count: last.count + copy.count };
    else all.push(copy);
  }
  return all;
}

export function sizeOfCopy({ seed, first, count }: SeedCopy): number {
  return (seed.starts[first + count] as number) - (seed.starts[first] as number);
}

/** Finds where the chunks of a seed are stored. A store that does not know any is no failure. */
export async function placeSeed(transfer: Transfer, seed: Seed, places: SeedPlaces): Promise<void> {
  const isStored = seed.fileHash !== null && (await placeByFile(transfer, seed, places));
  if (!isStored) await placeByShards(transfer, seed, places);
}

/** @returns false when the seed is no file of the store */
async function placeByFile(
  { options, scope, counters }: Transfer,
  seed: Seed,
  places: SeedPlaces,
): Promise<boolean> {
  const fileHash = seed.fileHash as MerkleHash;
  const { sizeBytes } = seed.access;
  let chunk = 0;
  while ((seed.starts[chunk] as number) < sizeBytes) {
    const start = seed.starts[chunk] as number;
    const end = Math.min(start + BLOCK_BYTES, sizeBytes);
    counters.requestCount++;
    const reply = await scope
      .call((signal) => options.cas.getReconstruction(fileHash, { start, end }, signal))
      .catch(nothing);
    const next = reply === null ? chunk : placeTerms(seed, reply, chunk, places);
    if (next === chunk) return start > 0;
    chunk = next;
  }
  return true;
}

/** @returns the first chunk behind the terms; those that do not fit the seed are left out */
function placeTerms(
  seed: Seed,
  { terms, offsetIntoFirstTerm }: Reconstruction,
  firstChunk: number,
  places: SeedPlaces,
): number {
  // A server that does not cut its terms down to chunks begins with some that are placed already.
  let first = firstChunk;
  let behindBytes = offsetIntoFirstTerm;
  while (behindBytes > 0 && first > 0) behindBytes -= seed.lengths[--first] as number;
  if (behindBytes !== 0) return firstChunk;
  for (const { xorb, chunkStart, chunkEnd, unpackedBytes } of terms) {
    const last = first + chunkEnd - chunkStart;
    if (last >= seed.starts.length) return first;
    const gotBytes = (seed.starts[last] as number) - (seed.starts[first] as number);
    if (gotBytes !== unpackedBytes) return first;
    places.add(xorb, { chunkStart, chunkEnd, seed, first });
    first = last;
  }
  return first;
}

async function placeByShards(transfer: Transfer, seed: Seed, places: SeedPlaces): Promise<void> {
  const { options, scope, counters } = transfer;
  const { cas } = options;
  if (cas.queryDedup === undefined) return;
  const table = new HashTable();
  const ordinals: number[] = [];
  const asked: number[] = [];
  for (let i = 0; i < seed.lengths.length; i++) {
    const before = table.count;
    if (table.add(seed.hashes, HASH_BYTES * i) < before) continue;
    ordinals.push(i);
    const isAskable = i === 0 || isGlobalDedupEligible(seed.hashes, HASH_BYTES * i);
    if (isAskable && asked.length < MAX_QUERIES) asked.push(i);
  }
  const keyed = new KeyedTables(seed, table, ordinals, transfer);
  const seen = new Set<string>();
  for (const chunk of asked) {
    // Placed already, by the shard of another one.
    if (keyed.placed.has(chunk)) continue;
    counters.requestCount++;
    const hash = MerkleHash.from(seed.hashes, HASH_BYTES * chunk);
    const shard = await scope
      .call((signal) => (cas.queryDedup as NonNullable<typeof cas.queryDedup>)(hash, signal))
      .catch(nothing);
    if (shard !== null) keyed.learn(shard, places, seen);
    scope.check();
  }
}

/** Chunks of a seed by their hashes under the keys of shards. */
class KeyedTables {
  /** Chunks of the seed that a shard has placed. */
  readonly placed = new Set<number>();
  readonly #seed: Seed;
  readonly #plain: HashTable;
  readonly #ordinals: readonly number[];
  readonly #transfer: Transfer;
  #key: Uint8Array | null = null;
  #table: HashTable | null = null;

  constructor(seed: Seed, plain: HashTable, ordinals: readonly number[], transfer: Transfer) {
    this.#seed = seed;
    this.#plain = plain;
    this.#ordinals = ordinals;
    this.#transfer = transfer;
  }

  /** A response that is no shard is none. */
  learn(bytes: Uint8Array, places: SeedPlaces, seen: Set<string>): void {
    try {
      const { xorbs, footer } = decodeShard(bytes);
      const table = this.#tableFor(footer === undefined ? null : shardKeyOf(footer));
      for (const xorb of xorbs) {
        if (seen.has(xorb.hash.toString())) continue;
        seen.add(xorb.hash.toString());
        this.#place(xorb, table, places);
      }
    } catch (error) {
      if (!isOrbweaverError(error)) throw error;
    }
  }

  #place(
    { hash, chunkHashes, chunkLengths }: ReturnType<typeof decodeShard>['xorbs'][number],
    table: HashTable,
    places: SeedPlaces,
  ): void {
    const seed = this.#seed;
    let isUsed = false;
    for (let chunk = 0; chunk < chunkLengths.length; ) {
      const first = this.#ordinalOf(table, chunkHashes, chunk);
      let end = chunk + 1;
      if (first < 0 || seed.lengths[first] !== chunkLengths[chunk]) {
        chunk = end;
        continue;
      }
      while (
        end < chunkLengths.length &&
        this.#ordinalOf(table, chunkHashes, end) === first + end - chunk
      ) {
        end++;
      }
      for (let i = chunk; i < end; i++) this.placed.add(first + i - chunk);
      places.add(hash, { chunkStart: chunk, chunkEnd: end, seed, first });
      isUsed = true;
      chunk = end;
    }
    if (isUsed) places.listed(hash, chunkLengths);
  }

  #ordinalOf(table: HashTable, hashes: Uint8Array, chunk: number): number {
    const index = table.indexOf(hashes, HASH_BYTES * chunk);
    return index < 0 ? -1 : (this.#ordinals[index] as number);
  }

  /** Most stores answer all questions of one client under one key. */
  #tableFor(key: Uint8Array | null): HashTable {
    if (key === null) return this.#plain;
    const isSame = this.#key !== null && key.every((byte, i) => byte === this.#key?.[i]);
    if (isSame && this.#table !== null) return this.#table;
    const { hasher } = this.#transfer.options;
    const table = new HashTable();
    const hash = new Uint8Array(HASH_BYTES);
    for (const ordinal of this.#ordinals) {
      keyedChunkHash(hasher, key, this.#seed.hashes, HASH_BYTES * ordinal, hash, 0);
      table.add(hash, 0);
    }
    this.#key = key.slice();
    this.#table = table;
    return table;
  }
}

/** Seeds are there to save something: whatever goes wrong with them is not the download's failure. */
function nothing(error: unknown): null {
  if (isOrbweaverError(error) && error.code !== 'ABORTED' && error.code !== 'CLOSED') return null;
  throw error;
}
