import { type ChunkerParams, DEFAULT_PARAMS } from './params.js';
import type { GearScanner } from './ports.js';

/**
 * Cuts of data that lies in one array, and the scan of one segment for the parallel way. A cut is
 * the position after the last byte of a chunk.
 */

/**
 * All cuts of `data`, the last one being its length (no cut for no data).
 *
 * A chunk's first `minBytes - 64` bytes are never looked at: a cut may not lie before `minBytes`,
 * and the hash there depends on the 64 bytes before it only. Asking the scanner for positions from
 * `minBytes` on is also what keeps the mandatory guard: a hash that has seen fewer than 64 bytes
 * matches far too easily and must not cut (a client without this guard cuts 8 % of its chunks too
 * short).
 *
 * @throws RangeError when `data` has 2^32 bytes or more.
 *
 * @example
 * const cuts = findCuts(createReadableScanner(), new Uint8Array(200_000));
 * // Uint32Array [131072, 200000]
 */
export function findCuts(
  scanner: GearScanner,
  data: Uint8Array,
  params: ChunkerParams = DEFAULT_PARAMS,
): Uint32Array {
  if (data.length > 0xffff_ffff) {
    throw new RangeError(`"data" expected fewer than 2^32 bytes, got ${data.length}`);
  }
  const cuts: number[] = [];
  let start = 0;
  while (start < data.length) {
    start = nextCut(scanner, data, start, params) ?? data.length;
    cuts.push(start);
  }
  return Uint32Array.from(cuts);
}

/**
 * The cut that ends the chunk that starts at `chunkStart`, or null when the chunk goes on at the end of
 * `data`. Bytes before `chunkStart + minBytes - 64` are not looked at.
 */
export function nextCut(
  scanner: GearScanner,
  data: Uint8Array,
  chunkStart: number,
  params: ChunkerParams = DEFAULT_PARAMS,
): number | null {
  const forced = chunkStart + params.maxBytes;
  const limit = Math.min(forced, data.length);
  const from = chunkStart + params.minBytes - 1;
  const first = new Uint32Array(1);
  if (from < limit && scanner.scan(data, from, limit, params.maskBits, first) > 0) {
    return first[0] as number;
  }
  return limit === forced ? forced : null;
}
