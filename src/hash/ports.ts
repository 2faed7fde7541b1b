/** What hashing needs from outside: BLAKE3 in keyed mode. `createReadableBlake3` is the oracle. */
export interface Hasher {
  /**
   * BLAKE3 keyed, 256 bits, of `data` into `out[outOffset, outOffset + 32)`.
   * `key` is 32 bytes; `data` is borrowed for the call and may be a view of shared memory.
   */
  keyed(key: Uint8Array, data: Uint8Array, out: Uint8Array, outOffset: number): void;
  /**
   * The same for `count` pieces that lie side by side: piece i is
   * `data[i === 0 ? start : ends[i - 1], ends[i])`; digest i goes to `out[outOffset + 32 * i ...]`.
   */
  keyedMany(
    key: Uint8Array,
    data: Uint8Array,
    start: number,
    ends: Uint32Array,
    count: number,
    out: Uint8Array,
    outOffset: number,
  ): void;
  /**
   * The same for pieces anywhere in `data`: piece i is `data[starts[i], starts[i] + lengths[i])`, and
   * the digests are the result. Null: declined, because of where the bytes lie. Absent where it would
   * be no faster than one call for each run of neighbours.
   */
  keyedList?(
    key: Uint8Array,
    data: Uint8Array,
    starts: Uint32Array,
    lengths: Uint32Array,
  ): Uint8Array | null;
  /**
   * The digest of long data, with `pause` awaited after about every MiB, so that a server's other requests
   * have their turn. `data` must not change meanwhile; other hashes may be made. Absent where it would be
   * no different from `keyed`.
   */
  keyedLong?(key: Uint8Array, data: Uint8Array, pause: () => Promise<void>): Promise<Uint8Array>;
}
