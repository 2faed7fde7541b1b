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
