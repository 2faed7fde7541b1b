import { GEAR_TABLE } from '../../src/chunker/index.js';

/**
 * The normative definition of the cuts, word for word and without any skipping: the oracle of
 * everything that skips, streams or works in parallel. (BigInt, about 10 MB/s.)
 */
export function naiveCuts(data: Uint8Array, targetBytes = 65536): number[] {
  const mask =
    (BigInt(targetBytes - 1) << BigInt(64 - Math.log2(targetBytes))) & 0xffff_ffff_ffff_ffffn;
  const cuts: number[] = [];
  let hash = 0n;
  let start = 0;
  for (let i = 0; i < data.length; i++) {
    hash = BigInt.asUintN(64, (hash << 1n) + (GEAR_TABLE[data[i] as number] as bigint));
    const size = i + 1 - start;
    if (size < targetBytes / 8) continue;
    if (size >= targetBytes * 2 || (hash & mask) === 0n) {
      cuts.push(i + 1);
      start = i + 1;
      hash = 0n;
    }
  }
  if (start < data.length) cuts.push(data.length);
  return cuts;
}
