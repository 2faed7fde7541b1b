import { DEFAULT_PARAMS, type GearScanner } from '../../src/chunker/index.js';

/** Every candidate of the segment `[start, end)` of `data`, relative to `data`, whatever room a list has. */
export function findCandidates(
  scanner: GearScanner,
  data: Uint8Array,
  start: number,
  end: number,
  maskBits: number = DEFAULT_PARAMS.maskBits,
): Uint32Array {
  const found: number[] = [];
  const list = new Uint32Array(64);
  for (let from = start; from < end; from = found.at(-1) as number) {
    const count = scanner.scan(data, from, end, maskBits, list);
    found.push(...list.subarray(0, count));
    if (count < list.length) break;
  }
  return Uint32Array.from(found);
}
