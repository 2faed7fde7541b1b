/**
 * LZ4 block decompression for hostile input: each length is compared with what is left before a
 * byte moves, and copies in steps of 16 or 8 run only where the step stays inside of the argument.
 */

/** `n` literals, in steps of 16 while neither side is overrun. */
// @ts-ignore: decorator
@inline
function copyLiterals(to: usize, from: usize, n: usize, outRoom: usize, srcRoom: usize): void {
  if (n + 16 <= outRoom && n + 16 <= srcRoom) {
    const end = to + n;
    do {
      v128.store(to, v128.load(from));
      to += 16;
      from += 16;
    } while (to < end);
  } else {
    memory.copy(to, from, n);
  }
}

/** `n` >= 4 bytes that repeat what starts `distance` before `to`; `room` >= n bytes are left. */
// @ts-ignore: decorator
@inline
function copyMatch(to: usize, distance: usize, n: usize, room: usize): void {
  let from = to - distance;
  const end = to + n;
  if (n + 24 <= room) {
    if (distance >= 16) {
      do {
        v128.store(to, v128.load(from));
        to += 16;
        from += 16;
      } while (to < end);
      return;
    }
    if (distance < 8) {
      // Eight bytes one by one; then the pattern has repeated often enough to be read from a
      // multiple of the distance that is at least eight.
      store<u8>(to, load<u8>(from));
      store<u8>(to, load<u8>(from, 1), 1);
      store<u8>(to, load<u8>(from, 2), 2);
      store<u8>(to, load<u8>(from, 3), 3);
      store<u8>(to, load<u8>(from, 4), 4);
      store<u8>(to, load<u8>(from, 5), 5);
      store<u8>(to, load<u8>(from, 6), 6);
      store<u8>(to, load<u8>(from, 7), 7);
      to += 8;
      from = to - ((7 / distance + 1) * distance);
    }
    while (to < end) {
      store<u64>(to, load<u64>(from));
      to += 8;
      from += 8;
    }
    return;
  }
  while (to < end) store<u8>(to++, load<u8>(from++));
}

/**
 * Decodes the block of `n` bytes at `src` to `out + start` on; matches may reach back to `out`,
 * nothing reaches `out + size`. Returns the end as an offset from `out`, or -1.
 */
export function lz4Decompress(src: usize, n: usize, out: usize, size: usize, start: usize): i32 {
  let p = src;
  const srcEnd = src + n;
  let to = out + start;
  const outEnd = out + size;

  while (p < srcEnd) {
    const token: usize = load<u8>(p++);

    let literals = token >> 4;
    if (literals == 15) {
      let more: usize;
      do {
        if (p >= srcEnd) return -1;
        more = load<u8>(p++);
        literals += more;
        if (literals > outEnd - to) return -1;
      } while (more == 255);
    }
    const srcRoom = srcEnd - p;
    const outRoom = outEnd - to;
    if (literals > srcRoom || literals > outRoom) return -1;
    if (literals > 0) copyLiterals(to, p, literals, outRoom, srcRoom);
    p += literals;
    to += literals;
    // A block ends with literals.
    if (p == srcEnd) return <i32>(to - out);

    if (srcEnd - p < 2) return -1;
    const distance: usize = load<u16>(p);
    p += 2;
    if (distance == 0 || distance > to - out) return -1;
    const room = outEnd - to;
    let length = token & 15;
    if (length == 15) {
      let more: usize;
      do {
        if (p >= srcEnd) return -1;
        more = load<u8>(p++);
        length += more;
        if (length > room) return -1;
      } while (more == 255);
    }
    length += 4;
    if (length > room) return -1;
    copyMatch(to, distance, length, room);
    to += length;
  }
  return -1;
}
