/** Bytes that are the same each time: random ones, and text that compresses, in turns of 256 KiB. */
export function mixedBytes(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  let state = seed >>> 0 || 1;
  for (let at = 0; at < length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[at] = (at >> 18) % 2 === 0 ? state : 97 + ((state >>> 3) & 7);
  }
  return bytes;
}
