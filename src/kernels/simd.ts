import { createSimdCodec } from './simd-codec.js';
import { createSimdCutter } from './simd-cutter.js';
import { createSimdHasher } from './simd-hasher.js';
import { instantiateSimd } from './simd-instance.js';
import { createKeySetter } from './simd-key.js';
import { createSimdLongHash } from './simd-long-hash.js';
import { createSimdRecords } from './simd-records.js';
import { createSimdScanner } from './simd-scanner.js';
import type { KernelOptions, Kernels } from './types.js';

/** The `simd` tier. Throws whatever the engine throws that does not run it. */
export async function createSimd(options: KernelOptions): Promise<Kernels> {
  const { twins, memory, scratchBase, module } = options;
  const instance = await instantiateSimd(memory, scratchBase, module);
  const setKey = createKeySetter(instance);
  return {
    tier: 'simd',
    scanner: createSimdScanner(instance, twins.gearTable),
    hasher: {
      ...createSimdHasher(instance, setKey),
      keyedLong: createSimdLongHash(instance.module, instance.sharedMemory),
    },
    codec: createSimdCodec(instance, twins.codec),
    cutter: createSimdCutter(instance, setKey),
    records: createSimdRecords(instance, setKey),
    memory: instance.memory,
    sharedMemory: instance.sharedMemory,
    module: instance.module,
    fallbackReason: null,
  };
}
