import { createBLAKE3 } from 'hash-wasm';
import type { Hasher } from '../hash/ports.js';

const DIGEST_BYTES = 32;

/**
 * Keyed BLAKE3 by hash-wasm, for engines without SIMD128. hash-wasm takes its key in an
 * asynchronous constructor only, while keys come with each call here. But its `init()` reads the
 * key's array anew every time, so one instance over an array of ours serves every key. Since that
 * is not promised anywhere, two keys are tried against `twin` first.
 *
 * @throws Error when WebAssembly is not to be had, or hash-wasm does not follow the key.
 */
export async function createPortableHasher(twin: Hasher): Promise<Hasher> {
  const currentKey = new Uint8Array(32);
  const blake3 = await createBLAKE3(256, currentKey);

  function keyed(key: Uint8Array, data: Uint8Array, out: Uint8Array, outOffset: number): void {
    if (key.length !== 32) throw new RangeError(`"key" expected 32 bytes, got ${key.length}`);
    currentKey.set(key);
    out.set(blake3.init().update(data).digest('binary'), outOffset);
  }

  const hasher: Hasher = {
    keyed,
    keyedMany(key, data, start, ends, count, out, outOffset) {
      let from = start;
      for (let i = 0; i < count; i++) {
        const end = ends[i] as number;
        if (!(from >= 0 && end >= from && end <= data.length)) {
          throw new RangeError(`"ends[${i}]" expected ${from} to ${data.length}, got ${end}`);
        }
        keyed(key, data.subarray(from, end), out, outOffset + i * DIGEST_BYTES);
        from = end;
      }
    },
  };

  const expected = new Uint8Array(DIGEST_BYTES);
  const found = new Uint8Array(DIGEST_BYTES);
  for (const fill of [0x11, 0xee]) {
    const key = new Uint8Array(32).fill(fill);
    const probe = new Uint8Array(100).fill(fill >> 1);
    twin.keyed(key, probe, expected, 0);
    hasher.keyed(key, probe, found, 0);
    if (!found.every((byte, i) => byte === expected[i])) {
      throw new Error('hash-wasm does not hash with the key that was set');
    }
  }
  return hasher;
}
