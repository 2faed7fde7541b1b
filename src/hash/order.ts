/**
 * Small rules over packed hashes (32 raw bytes at an offset of a larger array), without making
 * objects of them.
 */

/**
 * Order of the text forms: four little-endian u64 compared in turn. Negative, zero or positive.
 * Lookup tables of shards are sorted by the first of them.
 */
export function compareHashes(
  a: Uint8Array,
  aOffset: number,
  b: Uint8Array,
  bOffset: number,
): number {
  for (let group = 0; group < 32; group += 8) {
    for (let i = group + 7; i >= group; i--) {
      const difference = (a[aOffset + i] as number) - (b[bOffset + i] as number);
      if (difference !== 0) return difference;
    }
  }
  return 0;
}

/**
 * True when the protocol lets this chunk be asked for globally: its last u64 is a multiple of
 * 1024. `hashes` holds unkeyed chunk hashes; the first chunk of a file is eligible whatever this
 * says.
 */
export function isGlobalDedupEligible(hashes: Uint8Array, offset: number): boolean {
  return hashes[offset + 24] === 0 && ((hashes[offset + 25] as number) & 3) === 0;
}

/**
 * The same for a server that indexes more densely: the last u64 is a multiple of `oneIn`, a power of
 * two up to 1024. Whatever is eligible by {@link isGlobalDedupEligible} is eligible by this.
 */
export function isDedupEligible(hashes: Uint8Array, offset: number, oneIn: number): boolean {
  const low = (hashes[offset + 24] as number) + 256 * ((hashes[offset + 25] as number) & 3);
  return low % oneIn === 0;
}

/**
 * True when the node may end a group of the tree (unless it is the group's first or second): its
 * last u64 is a multiple of 4, the mean number of children.
 */
export function endsGroup(hashes: Uint8Array, offset: number): boolean {
  return ((hashes[offset + 24] as number) & 3) === 0;
}
