import { RECORD_HEADER_BYTES } from '../xorb/index.js';
import { HASH_WORDS } from './chunk-index.js';
import type { Batch, ChunkSource } from './chunk-source.js';
import { MAX_COPIES, REPEATS_PER_COPY } from './constants.js';
import type { FileState } from './file-state.js';
import type { SessionXorbs } from './session-xorbs.js';

/** A chunk that files repeat many times in a row, as the zeros of a disk image do. */
export interface Repeated {
  /** The longest known stretch of copies side by side: entries `[start, start + copies)`. */
  source: ChunkSource;
  start: number;
  copies: number;
  /** How often it has followed itself so far, in all files. */
  seenCount: number;
  /** Copies stored beyond the first. */
  storedCount: number;
  /** A stretch at the end of the open xorb that is still being made longer; 0 entries: none. */
  growing: { readonly start: number; count: number; readonly target: number } | null;
}

/**
 * Keeps long runs of one chunk at few terms. Each repeat alone would be a term of its own, 128 KiB of
 * file for 96 bytes of record: 85 GiB of zeros did not fit into a shard. So copies of the chunk are
 * stored side by side, and a run refers to as many of them as it can at once:
 *
 *     file   Z Z Z Z Z Z Z Z Z Z Z Z Z Z Z Z …         xorb   … A Z B … Z Z Z Z
 *            └─────┘ └─────┘ └─────┘ └─────┘ terms of 4, all to this: └─────┘
 *
 * Copies double, up to {@link MAX_COPIES}, and there is at most one for {@link REPEATS_PER_COPY}
 * repeats: whatever the chunk compresses to, less than 1 % of the run is stored, and a run below
 * 16 MiB costs nothing at all.
 */
export class Repeats {
  readonly #xorbs: SessionXorbs;
  /** By the oldest entry of the chunk; weak, because sources from outside come and go. */
  readonly #known = new WeakMap<ChunkSource, Map<number, Repeated>>();
  readonly #entries: number[] = [];

  constructor(xorbs: SessionXorbs) {
    this.#xorbs = xorbs;
  }

  /** How many chunks of the batch from `chunk` on repeat the chunk that `file` placed last. */
  count(file: FileState, batch: Batch, chunk: number): number {
    if (file.tail === null) return 0;
    const { source, entry } = file.tail;
    const words = batch.wordsFor(source, chunk);
    if (!source.index.matches(entry, words, chunk * HASH_WORDS)) return 0;
    let end = chunk + 1;
    while (end < batch.count && sameHash(batch.words, chunk, end)) end++;
    return end - chunk;
  }

  /** What is known of the chunk, which `file` placed last; notes `count` more repeats. */
  note(file: FileState, batch: Batch, chunk: number, count: number): Repeated {
    const tail = file.tail as NonNullable<FileState['tail']>;
    const { source } = this.#xorbs;
    const isOurs = source.index.find(batch.words, chunk * HASH_WORDS, this.#entries) > 0;
    const home = isOurs ? source : tail.source;
    if (!isOurs) {
      home.index.find(batch.wordsFor(home, chunk), chunk * HASH_WORDS, this.#entries);
    }
    // A hash that somebody chose may be in no table at all; then the place of the last one counts.
    let first = this.#entries[0] ?? tail.entry;
    // In whatever order they are found, the oldest one stays.
    for (const entry of this.#entries) first = Math.min(first, entry);
    let known = this.#known.get(home);
    if (known === undefined) {
      known = new Map();
      this.#known.set(home, known);
    }
    let repeated = known.get(first);
    if (repeated === undefined) {
      const copies = stretch(home, first, batch, chunk);
      repeated = {
        source: home,
        start: first,
        copies,
        seenCount: 0,
        storedCount: 0,
        growing: null,
      };
      known.set(first, repeated);
    }
    repeated.seenCount += count;
    return repeated;
  }

  /** Whether the next repeat, of `length` bytes, is to be stored as one more copy. */
  wantsCopy(repeated: Repeated, length: number): boolean {
    const { growing } = repeated;
    if (growing !== null) {
      if (this.#isAtEnd(growing.start + growing.count) && !this.#xorbs.isFullFor(length)) {
        return true;
      }
      // Chunks of other files came in between, or the xorb is full.
      repeated.growing = null;
    }
    const { maxBytes, maxChunks } = this.#xorbs.limits;
    const share = Math.min(maxBytes / (length + RECORD_HEADER_BYTES), maxChunks) / 4;
    const most = Math.max(1, Math.min(MAX_COPIES, Math.floor(share)));
    const { copies, start, seenCount, storedCount } = repeated;
    if (copies >= most) return false;
    const target = Math.min(most, 2 * copies);
    const extends_ =
      repeated.source === this.#xorbs.source &&
      this.#isAtEnd(start + copies) &&
      !this.#xorbs.isFullFor(length);
    const needed = extends_ ? target - copies : target;
    if (Math.floor(seenCount / REPEATS_PER_COPY) - storedCount < needed) return false;
    repeated.growing = extends_
      ? { start, count: copies, target }
      : { start: -1, count: 0, target };
    return true;
  }

  /** The copy that {@link wantsCopy} wanted is the last chunk of the open xorb. */
  stored(repeated: Repeated): void {
    const { growing } = repeated;
    if (growing === null) return;
    const { source } = this.#xorbs;
    const start = growing.count === 0 ? source.index.count - 1 : growing.start;
    const count = growing.count + 1;
    repeated.storedCount++;
    repeated.growing = count < growing.target ? { start, count, target: growing.target } : null;
    if (count <= repeated.copies) return;
    if (repeated.source !== source) this.#adopt(repeated, start);
    repeated.source = source;
    repeated.start = start;
    repeated.copies = count;
  }

  /** From now on the chunk is found in our own xorbs first. */
  #adopt(repeated: Repeated, start: number): void {
    const { source } = this.#xorbs;
    const known = this.#known.get(source) ?? new Map<number, Repeated>();
    known.set(start, repeated);
    this.#known.set(source, known);
  }

  #isAtEnd(entry: number): boolean {
    return this.#xorbs.openSlot !== -1 && entry === this.#xorbs.source.index.count;
  }
}

/** How many entries of the span from `entry` on have the hash of `chunk`. */
function stretch(source: ChunkSource, entry: number, batch: Batch, chunk: number): number {
  const words = batch.wordsFor(source, chunk);
  const end = Math.min(source.endOf(source.spanOf(entry)), entry + MAX_COPIES);
  let next = entry;
  while (next < end && source.index.matches(next, words, chunk * HASH_WORDS)) next++;
  return next - entry;
}

function sameHash(words: Uint32Array, a: number, b: number): boolean {
  for (let i = 0; i < HASH_WORDS; i++) {
    if (words[a * HASH_WORDS + i] !== words[b * HASH_WORDS + i]) return false;
  }
  return true;
}
