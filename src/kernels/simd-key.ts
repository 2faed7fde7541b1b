import { KEY } from './generated/layout.js';
import type { SimdInstance } from './simd-instance.js';

/** Bytes of a key of BLAKE3. */
const KEY_BYTES = 32;

/**
 * A function that puts the key of the next hashes in place, and does nothing when it is there:
 * hashing 64 bytes must not cost more to prepare than to do.
 */
export function createKeySetter(instance: SimdInstance): (key: Uint8Array) => void {
  const keyAt = instance.scratch + KEY;
  const current = new Uint8Array(KEY_BYTES);
  instance.views().u8.set(current, keyAt);

  return (key) => {
    if (key.length !== KEY_BYTES) {
      throw new RangeError(`"key" expected ${KEY_BYTES} bytes, got ${key.length}`);
    }
    for (let i = 0; i < KEY_BYTES; i++) {
      if (key[i] !== current[i]) {
        current.set(key);
        instance.views().u8.set(current, keyAt);
        return;
      }
    }
  };
}
