/**
 * BG4, byte grouping by four: byte i of the chunk goes to group i % 4, and the groups follow each
 * other. In arrays of 32-bit numbers the bytes of one group resemble each other (the exponents of
 * floats, the high bytes of counters), which gives LZ4 something to find.
 *
 *     n = 4q + r:  group k holds q + (k < r ? 1 : 0) bytes
 *     0 1 2 3 4 5 6 7 8 9   →   0 4 8 · 1 5 9 · 2 6 · 3 7
 *
 * Lengths below 4 come out unchanged. The readable form of what the kernels do.
 */

/** Groups `src` into `out`, which must be as long as `src` and must not overlap it. */
export function bg4Split(src: Uint8Array, out: Uint8Array): void {
  checkLengths(src, out);
  const length = src.length;
  for (let group = 0, to = 0; group < 4; group++) {
    for (let from = group; from < length; from += 4) out[to++] = src[from] as number;
  }
}

/** Undoes {@link bg4Split}: `out` must be as long as `src` and must not overlap it. */
export function bg4Join(src: Uint8Array, out: Uint8Array): void {
  checkLengths(src, out);
  const length = src.length;
  for (let group = 0, from = 0; group < 4; group++) {
    for (let to = group; to < length; to += 4) out[to] = src[from++] as number;
  }
}

function checkLengths(src: Uint8Array, out: Uint8Array): void {
  if (src.length !== out.length) {
    throw new RangeError(`"out" expected ${src.length} bytes, got ${out.length}`);
  }
}
