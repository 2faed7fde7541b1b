import { GrowableU32 } from '../bytes/index.js';
import { HASH_BYTES, keyedChunkHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import { ChunkIndex, type ChunkIndexOptions, HASH_WORDS, hashWords } from './chunk-index.js';
import type { Origin } from './ports.js';

/** Where a span begins in its xorb. */
export interface SpanStart {
  readonly chunk: number;
  /** Uncompressed bytes before that chunk; what a reader pays for gaps is reckoned with it. */
  readonly rawStart: number;
}

const WHOLE: SpanStart = { chunk: 0, rawStart: 0 };

const ORIGINS: readonly Origin[] = ['session', 'resumed', 'local', 'global'];

/**
 * Known xorbs whose chunk hashes are keyed alike (or not at all): a chunk index, and for each xorb
 * the span of its entries. The session's own xorbs are one source, plain shards another, and every
 * key has its own.
 */
export class ChunkSource {
  /** 32 bytes, or null for plain hashes. */
  readonly key: Uint8Array | null;
  readonly index: ChunkIndex;
  readonly #xorbs: Set<number> = new Set();
  readonly #ids: GrowableU32 = new GrowableU32();
  readonly #starts: GrowableU32 = new GrowableU32();
  readonly #rawBytes: GrowableU32 = new GrowableU32();
  readonly #origins: GrowableU32 = new GrowableU32();
  /** Number in the xorb of the first chunk of each span. */
  readonly #firstChunks: GrowableU32 = new GrowableU32();

  constructor(key: Uint8Array | null, options: ChunkIndexOptions) {
    this.key = key;
    this.index = new ChunkIndex(options);
  }

  /** Xorbs so far. */
  get spanCount(): number {
    return this.#starts.length;
  }

  hasXorb(id: number): boolean {
    return this.#xorbs.has(id);
  }

  /**
   * Opens the span of a xorb; its chunks are appended next. Returns its number. `first`: only a part
   * of the xorb is known, from this chunk on, which begins at about so many raw bytes.
   */
  openSpan(id: number, origin: Origin, first: SpanStart = WHOLE): number {
    this.#xorbs.add(id);
    this.#ids.push(id);
    this.#starts.push(this.index.count);
    this.#rawBytes.push(first.rawStart);
    this.#origins.push(ORIGINS.indexOf(origin));
    this.#firstChunks.push(first.chunk);
    return this.spanCount - 1;
  }

  /** Appends a chunk to the last span; returns its entry. */
  append(words: Uint32Array, at: number, length: number): number {
    const span = this.spanCount - 1;
    const start = this.#rawBytes.at(span);
    this.#rawBytes.set(span, start + length);
    return this.index.append(words, at, start);
  }

  idOf(span: number): number {
    return this.#ids.at(span);
  }

  originOf(span: number): Origin {
    return ORIGINS[this.#origins.at(span)] as Origin;
  }

  rawBytesOf(span: number): number {
    return this.#rawBytes.at(span);
  }

  /** First entry of a span. */
  startOf(span: number): number {
    return this.#starts.at(span);
  }

  /** Entry after the last one of a span. */
  endOf(span: number): number {
    return span + 1 < this.spanCount ? this.#starts.at(span + 1) : this.index.count;
  }

  /** The span that holds `entry`. */
  spanOf(entry: number): number {
    let low = 0;
    let high = this.spanCount - 1;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#starts.at(middle) <= entry) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** Where the raw bytes of `entry`, which lies in `span`, end. */
  rawEnd(span: number, entry: number): number {
    return entry + 1 < this.endOf(span) ? this.index.rawStart(entry + 1) : this.rawBytesOf(span);
  }

  /** Number in its xorb of `entry`, which lies in `span`. */
  chunkOf(span: number, entry: number): number {
    return this.#firstChunks.at(span) + entry - this.startOf(span);
  }

  /** Packed hashes of a span, a copy. */
  hashesOf(span: number): Uint8Array {
    return this.index.hashes(this.startOf(span), this.endOf(span));
  }

  /** Chunk lengths of a span. */
  lengthsOf(span: number): Uint32Array {
    const start = this.startOf(span);
    const lengths = new Uint32Array(this.endOf(span) - start);
    let rawEnd = this.rawBytesOf(span);
    for (let i = lengths.length - 1; i >= 0; i--) {
      const rawStart = this.index.rawStart(start + i);
      lengths[i] = rawEnd - rawStart;
      rawEnd = rawStart;
    }
    return lengths;
  }

  /**
   * How many chunks of `batch` from number `chunk` on are the entries from `entry` on, in one span.
   * Lengths are compared, too: a shard that lies about them would only make terms that no server
   * takes.
   */
  runLength(span: number, entry: number, batch: Batch, chunk: number): number {
    const limit = Math.min(batch.count - chunk, this.endOf(span) - entry);
    let length = 0;
    while (length < limit) {
      const words = batch.wordsFor(this, chunk + length);
      if (!this.index.matches(entry + length, words, (chunk + length) * HASH_WORDS)) break;
      const bytes = this.rawEnd(span, entry + length) - this.index.rawStart(entry + length);
      if (bytes !== batch.lengths[chunk + length]) break;
      length++;
    }
    return length;
  }
}

interface KeyedHashes {
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly done: Uint8Array;
}

/** Consecutive chunks of one file, borrowed from the caller, with their hashes under each key. */
export class Batch {
  readonly hashes: Uint8Array;
  readonly lengths: Uint32Array;
  readonly count: number;
  readonly words: Uint32Array;
  readonly #hasher: Hasher;
  /** Made with the first keyed look-up: most batches meet none. */
  #keyed: Map<ChunkSource, KeyedHashes> | null = null;

  constructor(hasher: Hasher, hashes: Uint8Array, lengths: Uint32Array) {
    this.#hasher = hasher;
    this.hashes = hashes;
    this.lengths = lengths;
    this.count = lengths.length;
    this.words = hashWords(hashes);
  }

  /** Words in which the hash of `chunk` is as `source` knows it; made once per chunk and key. */
  wordsFor(source: ChunkSource, chunk: number): Uint32Array {
    const { key } = source;
    if (key === null) return this.words;
    this.#keyed ??= new Map();
    let keyed = this.#keyed.get(source);
    if (keyed === undefined) {
      const bytes = new Uint8Array(this.count * HASH_BYTES);
      keyed = { bytes, words: new Uint32Array(bytes.buffer), done: new Uint8Array(this.count) };
      this.#keyed.set(source, keyed);
    }
    if (keyed.done[chunk] === 0) {
      const at = chunk * HASH_BYTES;
      keyedChunkHash(this.#hasher, key, this.hashes, at, keyed.bytes, at);
      keyed.done[chunk] = 1;
    }
    return keyed.words;
  }
}
