import { type ByteSpan, createWindowScanner, DEFAULT_PARAMS } from '../chunker/index.js';
import type { MerkleHash } from '../hash/index.js';
import type { FileChunkHashes } from '../plan/index.js';

/** One chunk of a file. */
export interface ListedChunk {
  /** First byte, counted from the start of the file. */
  readonly start: number;
  readonly sizeBytes: number;
  readonly hash: MerkleHash;
}

/**
 * From one window to the next when nothing is known of the chunks between: some ten chunks of 64 KiB, of
 * which three to five are the window.
 */
const STEP_BYTES = 640 * 1024;
/** More than a window with what lies beside it usually is. */
const FOLDED_BYTES = 1536 * 1024;
/** Chunks that are looked at to find one whose window closes in time. */
const LONGEST_RUN = 12;

/**
 * Hashes and sizes of single chunks of a file, learnt from responses of `file-chunk-hashes`. Those say
 * nothing about the chunks of a window, and fold the chunks between two windows, but not when they are
 * few: a gap of up to ten chunks comes chunk by chunk. So a stretch of a file is learnt in some rounds, with
 * windows at other places in each:
 *
 *     round 1   |win|..........|win|..........|win|        . learnt
 *     round 2   ......|win|..........|win|..........       the rest
 *
 * Nothing is believed: whoever uses these hashes has something to hold them against.
 */
export class ChunkMap {
  readonly #chunks = new Map<number, ListedChunk>();
  readonly #byEnd = new Map<number, ListedChunk>();

  /** Takes over all chunks that come one by one. */
  learn({ windows, gaps, fileSizeBytes }: FileChunkHashes): void {
    for (const [index, gap] of gaps.entries()) {
      const level = gap?.levels[0];
      if (level === undefined) continue;
      let start = windows[index - 1]?.end ?? 0;
      for (const { hash, size } of level.left) {
        this.add(start, size, hash);
        start += size;
      }
      let end = windows[index]?.start ?? fileSizeBytes;
      for (const { hash, size } of level.right.toReversed()) {
        end -= size;
        this.add(end, size, hash);
      }
    }
  }

  /** The chunks of bytes `[start, end)`, both between two chunks; null while some are not known. */
  list(start: number, end: number): ListedChunk[] | null {
    const found: ListedChunk[] = [];
    for (let at = start; at < end; ) {
      const chunk = this.#chunks.get(at);
      if (chunk === undefined) return null;
      found.push(chunk);
      at += chunk.sizeBytes;
    }
    return found;
  }

  /** Stretches of `[start, end)` whose chunks are not known. */
  missing(start: number, end: number): ByteSpan[] {
    const starts = [...this.#chunks.keys()].filter((at) => at >= start).sort((a, b) => a - b);
    const spans: ByteSpan[] = [];
    let next = 0;
    for (let at = start; at < end; ) {
      const chunk = this.#chunks.get(at);
      if (chunk !== undefined) {
        at += chunk.sizeBytes;
        continue;
      }
      while (next < starts.length && (starts[next] as number) <= at) next++;
      const until = Math.min(starts[next] ?? end, end);
      spans.push({ start: at, end: until });
      at = until;
    }
    return spans;
  }

  /**
   * Bytes to call dirty in the next question, so that windows lie beside what is missing of
   * `[start, end)` and not on it; at most `limit` of them. Rounds take
   * turns in what they try. Empty: nothing is missing.
   */
  questions(
    span: ByteSpan,
    {
      fileSizeBytes,
      limit,
      round,
    }: { readonly fileSizeBytes: number; readonly limit: number; readonly round: number },
  ): ByteSpan[] {
    const points = new Set<number>();
    let lastEnd = -1;
    for (const { start, end } of this.missing(span.start, span.end)) {
      if (points.size >= limit - 2) break;
      // So much is folded, or was never asked for: windows go into it.
      if (end - start > FOLDED_BYTES) {
        const first = start === 0 ? STEP_BYTES / 2 : start - STEP_BYTES / 2;
        for (let at = first; at < end + STEP_BYTES && points.size < limit; at += STEP_BYTES) {
          points.add(at);
        }
        continue;
      }
      const before = this.#windowBefore(start);
      if (before !== null) points.add(before);
      // A window that opens right behind the last stretch may go on over this one.
      else if (round % 2 === 1) points.delete(lastEnd);
      points.add(end);
      lastEnd = end;
    }
    return [...points]
      .filter((at) => at >= 0 && at < fileSizeBytes)
      .sort((a, b) => a - b)
      .map((at) => ({ start: at, end: at + 1 }));
  }

  /** Takes over one chunk; sizes that no chunk has are left out. */
  add(start: number, sizeBytes: number, hash: MerkleHash): void {
    if (sizeBytes < 1 || sizeBytes > DEFAULT_PARAMS.maxBytes) return;
    const chunk = { start, sizeBytes, hash };
    this.#chunks.set(start, chunk);
    this.#byEnd.set(start + sizeBytes, chunk);
  }

  /** The last known chunk in front of `end` whose window closes there or before; null: none does. */
  #windowBefore(end: number): number | null {
    const sizes: number[] = [];
    for (let at = end; sizes.length < LONGEST_RUN; ) {
      const chunk = this.#byEnd.get(at);
      if (chunk === undefined) return null;
      sizes.unshift(chunk.sizeBytes);
      const scanner = createWindowScanner([{ start: 0, end: 1 }]);
      for (const size of sizes) scanner.push(size);
      // Whatever comes next is outside of a window that has closed.
      if (scanner.push(1) === 'outside') return chunk.start;
      at = chunk.start;
    }
    return null;
  }
}
