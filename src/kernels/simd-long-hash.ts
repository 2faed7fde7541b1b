import type { Hasher } from '../hash/ports.js';
import { DIGESTS, SCRATCH_BYTES, STAGE, STATIC_BYTES } from './generated/layout.js';
import { createMemory } from './memory.js';
import {
  HASH_PIECE_BYTES,
  instantiateSimd,
  type SimdInstance,
  wordShift,
} from './simd-instance.js';
import { createKeySetter } from './simd-key.js';
import type { WasmModule } from './wasm-types.js';

const DIGEST_BYTES = 32;
/** Bytes between two pauses: about a millisecond. */
const PAUSE_BYTES: number = 8 * HASH_PIECE_BYTES;

/**
 * Keyed BLAKE3 of long data with pauses. A hash under way is in the memory and the globals of its instance,
 * which every other hash would overwrite: each has an instance of its own, kept for the next one.
 */
export function createSimdLongHash(
  module: WasmModule,
  isShared: boolean,
): NonNullable<Hasher['keyedLong']> {
  const free: Own[] = [];
  return async (key, data, pause) => {
    const own = free.pop() ?? (await create(module, isShared));
    const { instance, setKey } = own;
    const { exports, scratch } = instance;
    const { u8 } = instance.views();
    const stage = (bytes: Uint8Array): number => {
      const at = scratch + STAGE + wordShift(bytes);
      u8.set(bytes, at);
      return at;
    };
    setKey(key);
    exports.blake3Begin();
    let at = 0;
    // Whole pieces while bytes follow them, then the rest, which is empty only when all is.
    for (; data.length - at > HASH_PIECE_BYTES; at += HASH_PIECE_BYTES) {
      exports.blake3Push(stage(data.subarray(at, at + HASH_PIECE_BYTES)));
      if (at % PAUSE_BYTES === PAUSE_BYTES - HASH_PIECE_BYTES) await pause();
    }
    const digestAt = scratch + DIGESTS;
    exports.blake3Finish(stage(data.subarray(at)), data.length - at, digestAt);
    const digest = u8.slice(digestAt, digestAt + DIGEST_BYTES);
    if (free.length === 0) free.push(own);
    return digest;
  };
}

interface Own {
  readonly instance: SimdInstance;
  readonly setKey: (key: Uint8Array) => void;
}

async function create(module: WasmModule, isShared: boolean): Promise<Own> {
  const memory = createMemory(STATIC_BYTES + SCRATCH_BYTES, isShared);
  const instance = await instantiateSimd(memory, STATIC_BYTES, module);
  return { instance, setKey: createKeySetter(instance) };
}
