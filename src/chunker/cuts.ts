import { withRoom } from '../bytes/index.js';
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

/**
 * Every candidate of the segment `[start, end)` of `data` (positions relative to `data`), for
 * {@link CutResolver}. Bytes before `start` are read to warm the window only.
 *
 * Random data has one candidate in 65536 bytes, but crafted data may have one every few bytes: the
 * list grows to what is there, at most 4 bytes per byte of the segment, so keep segments small
 * (1 to 8 MiB).
 */
export function findCandidates(
  scanner: GearScanner,
  data: Uint8Array,
  start: number,
  end: number,
  maskBits: number = DEFAULT_PARAMS.maskBits,
): Uint32Array {
  let list = new Uint32Array(Math.max(64, Math.ceil((end - start) / 2 ** maskBits) * 4));
  let count = 0;
  let from = start;
  while (from < end) {
    const found = scanner.scan(data, from, end, maskBits, list.subarray(count));
    count += found;
    if (count < list.length) break;
    from = list[count - 1] as number;
    list = withRoom(list, count + 1);
  }
  return list.slice(0, count);
}
