import type { ChunkerParams } from './params.js';

/** What the chunker needs from outside: the scan for candidate cuts. */
export interface GearScanner {
  /**
   * Finds every candidate cut `p = i + 1` with `start <= i < end` whose Gear hash over the 64 bytes
   * before `p` has its `maskBits` highest bits all zero. Starts with hash 0 at `max(0, start - 63)`
   * of `data` (bytes before `start` only warm the window). Writes positions (relative to `data`) in
   * ascending order to `out` and returns how many; when that is `out.length` there may be more:
   * call again with `start = out[out.length - 1]`.
   */
  scan(data: Uint8Array, start: number, end: number, maskBits: number, out: Uint32Array): number;
}

/** Bytes of which a chunk starts at `start`, and where their chunks go. */
export interface CutJob {
  readonly data: Uint8Array;
  readonly start: number;
  readonly end: number;
  /** The last chunk ends at `end`, whatever its length. Otherwise what is left there stays open. */
  readonly isLast: boolean;
  readonly params: ChunkerParams;
  /** Filled: where each chunk ends in `data`. Has room for one per `minBytes`, and one more. */
  readonly ends: Uint32Array;
  /** Filled: keyed BLAKE3 of each chunk, 32 bytes. */
  readonly hashes: Uint8Array;
}

/**
 * Cutting and hashing of a whole stretch in one call, for those who can do it faster than chunk by
 * chunk. The chunks are those of `nextCut`, one after another.
 */
export interface ChunkCutter {
  /** How many chunks there are; -1 (and nothing written): declined, because of where the bytes lie. */
  cut(key: Uint8Array, job: CutJob): number;
}
