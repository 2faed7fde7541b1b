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
  const first = new Uint32Array(1);
  let start = 0;
  while (start < data.length) {
    start = nextCut(scanner, data, start, params, first);
    cuts.push(start);
  }
  return Uint32Array.from(cuts);
}

function nextCut(
  scanner: GearScanner,
  data: Uint8Array,
  start: number,
  params: ChunkerParams,
  first: Uint32Array,
): number {
  const limit = Math.min(start + params.maxBytes, data.length);
  const firstEnd = start + params.minBytes;
  if (firstEnd >= limit) return limit;
  const found = scanner.scan(data, firstEnd - 1, limit, params.maskBits, first);
  return found === 0 ? limit : (first[0] as number);
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
    const grown = new Uint32Array(list.length * 2);
    grown.set(list);
    list = grown;
  }
  return list.slice(0, count);
}
