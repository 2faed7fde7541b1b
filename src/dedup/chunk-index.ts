import { MAX_PLACES_PER_CHUNK } from './constants.js';

/** Options of {@link ChunkIndex}. */
export interface ChunkIndexOptions {
  /**
   * Longest probe sequence. A hash that finds no slot within it is kept but not found by its hash,
   * which bounds the work on hashes that somebody chose. @default Infinity
   */
  readonly maxProbes?: number;
}

/** 32-bit words per hash. */
export const HASH_WORDS = 8;

const SEGMENT_BITS = 12;
const SEGMENT_ENTRIES: number = 1 << SEGMENT_BITS;
const SEGMENT_MASK = SEGMENT_ENTRIES - 1;
const PARTITION_BITS = 6;
const PARTITIONS: number = 1 << PARTITION_BITS;
const MAX_LOAD = 0.75;
const GROWTH = 1.3;

interface Segment {
  readonly words: Uint32Array;
  readonly starts: Uint32Array;
}

/**
 * Chunks by hash: an append-only list of entries (whole hash and the raw offset in its xorb), found
 * through open addressing. Entries that follow one another in a xorb follow one another here, so
 * that a run of known chunks is compared entry by entry, without further look-ups. One hash may
 * have several entries; up to {@link MAX_PLACES_PER_CHUNK} are found.
 *
 *   entries   segments of 4096: 8 words of hash | raw offset u32          36 bytes a chunk
 *   table     64 partitions by hash, each a prime number of u32 slots     5.3 to 7 bytes a chunk
 *
 * Memory is 41 to 43 bytes per chunk in all from 300,000 chunks on, that is 11 beside the hash, and
 * at most 56 from 4096 on (measured over 1000 to 3,000,000 random hashes). It grows without spikes: entries never move, and a partition that is 3/4 full
 * grows by 1.3 on its own, so that a copy is 1/64 of the table. Hashes are compared whole.
 *
 * Hashes come as words ({@link hashWords} of packed 32-byte hashes); the byte order of the machine
 * does not matter, as words are only compared with words.
 *
 * @example
 * const index = new ChunkIndex();
 * const entry = index.append(words, 0, 0);
 * const places: number[] = [];
 * index.find(words, 0, places); // 1, places[0] === entry
 */
export class ChunkIndex {
  readonly #segments: Segment[] = [];
  readonly #tables: Uint32Array[] = [];
  readonly #fill: Uint32Array = new Uint32Array(PARTITIONS);
  readonly #maxProbes: number;
  #slots = 0;
  #count = 0;

  constructor(options: ChunkIndexOptions = {}) {
    this.#maxProbes = options.maxProbes ?? Number.POSITIVE_INFINITY;
    for (let i = 0; i < PARTITIONS; i++) this.#tables.push(new Uint32Array(0));
  }

  /** Entries so far. */
  get count(): number {
    return this.#count;
  }

  /** Memory of segments and table. */
  get memoryBytes(): number {
    const entryBytes = HASH_WORDS * 4 + 4;
    return this.#segments.length * SEGMENT_ENTRIES * entryBytes + this.#slots * 4;
  }

  /** Appends the hash `words[at, at + 8)` of a chunk that starts at `rawStart`; returns its entry. */
  append(words: Uint32Array, at: number, rawStart: number): number {
    const entry = this.#count;
    const offset = entry & SEGMENT_MASK;
    let segment = this.#segments[entry >>> SEGMENT_BITS];
    if (segment === undefined) {
      segment = {
        words: new Uint32Array(SEGMENT_ENTRIES * HASH_WORDS),
        starts: new Uint32Array(SEGMENT_ENTRIES),
      };
      this.#segments.push(segment);
    }
    for (let i = 0; i < HASH_WORDS; i++) {
      segment.words[offset * HASH_WORDS + i] = words[at + i] as number;
    }
    segment.starts[offset] = rawStart;
    this.#count = entry + 1;

    const hash = mix(words, at);
    const partition = hash & (PARTITIONS - 1);
    const table = this.#tables[partition] as Uint32Array;
    if ((this.#fill[partition] as number) + 1 > table.length * MAX_LOAD) this.#grow(partition);
    this.#insert(this.#tables[partition] as Uint32Array, partition, hash, words, at, entry);
    return entry;
  }

  /** Fills `out` with the entries of this hash (oldest first); returns how many. */
  find(words: Uint32Array, at: number, out: number[]): number {
    out.length = 0;
    const hash = mix(words, at);
    const table = this.#tables[hash & (PARTITIONS - 1)] as Uint32Array;
    const size = table.length;
    if (size === 0) return 0;
    let slot = (hash >>> PARTITION_BITS) % size;
    const step = stepOf(words, at, hash, size);
    for (let probe = 0; probe < this.#maxProbes; probe++) {
      const found = table[slot] as number;
      if (found === 0) break;
      if (this.matches(found - 1, words, at)) {
        out.push(found - 1);
        if (out.length === MAX_PLACES_PER_CHUNK) break;
      }
      slot += step;
      if (slot >= size) slot -= size;
    }
    return out.length;
  }

  /** True when `entry` has the hash `words[at, at + 8)`. */
  matches(entry: number, words: Uint32Array, at: number): boolean {
    const segment = this.#segments[entry >>> SEGMENT_BITS] as Segment;
    const base = (entry & SEGMENT_MASK) * HASH_WORDS;
    for (let i = 0; i < HASH_WORDS; i++) {
      if (segment.words[base + i] !== words[at + i]) return false;
    }
    return true;
  }

  /** Raw offset of the entry's chunk in its xorb. */
  rawStart(entry: number): number {
    const segment = this.#segments[entry >>> SEGMENT_BITS] as Segment;
    return segment.starts[entry & SEGMENT_MASK] as number;
  }

  /** Packed hashes of entries `[start, end)`, a copy. */
  hashes(start: number, end: number): Uint8Array {
    const words = new Uint32Array((end - start) * HASH_WORDS);
    let done = start;
    while (done < end) {
      const segment = this.#segments[done >>> SEGMENT_BITS] as Segment;
      const offset = done & SEGMENT_MASK;
      const count = Math.min(end - done, SEGMENT_ENTRIES - offset);
      words.set(
        segment.words.subarray(offset * HASH_WORDS, (offset + count) * HASH_WORDS),
        (done - start) * HASH_WORDS,
      );
      done += count;
    }
    return new Uint8Array(words.buffer);
  }

  #insert(
    table: Uint32Array,
    partition: number,
    hash: number,
    words: Uint32Array,
    at: number,
    entry: number,
  ): void {
    const size = table.length;
    let slot = (hash >>> PARTITION_BITS) % size;
    const step = stepOf(words, at, hash, size);
    let places = 0;
    for (let probe = 0; probe < this.#maxProbes; probe++) {
      const found = table[slot] as number;
      if (found === 0) {
        table[slot] = entry + 1;
        this.#fill[partition] = (this.#fill[partition] as number) + 1;
        return;
      }
      if (this.matches(found - 1, words, at) && ++places === MAX_PLACES_PER_CHUNK) return;
      slot += step;
      if (slot >= size) slot -= size;
    }
  }

  #grow(partition: number): void {
    const old = this.#tables[partition] as Uint32Array;
    const table = new Uint32Array(nextPrime(Math.max(11, Math.ceil(old.length * GROWTH))));
    this.#tables[partition] = table;
    this.#slots += table.length - old.length;
    this.#fill[partition] = 0;
    for (const found of old) {
      if (found === 0) continue;
      const entry = found - 1;
      const { words } = this.#segments[entry >>> SEGMENT_BITS] as Segment;
      const at = (entry & SEGMENT_MASK) * HASH_WORDS;
      this.#insert(table, partition, mix(words, at), words, at, entry);
    }
  }
}

/**
 * The packed hashes as words: a view when `hashes` lies on a multiple of 4, else of a copy.
 * @throws RangeError when the length is no multiple of 32
 *
 * @example
 * index.append(hashWords(chunkHash.bytes), 0, 0);
 */
export function hashWords(hashes: Uint8Array): Uint32Array {
  if (hashes.length % (HASH_WORDS * 4) !== 0) {
    throw new RangeError(`"hashes" expected a multiple of 32 bytes, got ${hashes.length}`);
  }
  let bytes = hashes;
  if (hashes.byteOffset % 4 !== 0) {
    bytes = new Uint8Array(hashes.length);
    bytes.set(hashes);
  }
  return new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
}

/** All words folded into an u32. Honest hashes are random already; this is for those that are not. */
function mix(words: Uint32Array, at: number): number {
  let hash = 0;
  for (let i = 0; i < HASH_WORDS; i++) {
    hash = Math.imul(hash ^ (words[at + i] as number), 0x9e3779b1);
    hash ^= hash >>> 15;
  }
  return hash >>> 0;
}

/** Step of the probe sequence, 1 to size - 1; the size is prime, so that it reaches every slot. */
function stepOf(words: Uint32Array, at: number, hash: number, size: number): number {
  const second = Math.imul(hash ^ (words[at + 1] as number), 0x85ebca6b) >>> 0;
  return 1 + (second % (size - 1));
}

function nextPrime(from: number): number {
  for (let candidate = from | 1; ; candidate += 2) {
    let prime = true;
    for (let factor = 3; factor * factor <= candidate; factor += 2) {
      if (candidate % factor === 0) {
        prime = false;
        break;
      }
    }
    if (prime) return candidate;
  }
}
