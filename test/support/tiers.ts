import { createReadableScanner, GEAR_TABLE } from '../../src/chunker/index.js';
import { createReadableCodec } from '../../src/compress/index.js';
import { createReadableBlake3 } from '../../src/hash/index.js';
import {
  createKernels,
  createSharedMemory,
  type Kernels,
  type KernelTwins,
  sharedMemoryAvailable,
  simdAvailable,
} from '../../src/kernels/index.js';

/** The ways to run the byte work on this machine, for suites that must pass on each of them. */
export interface TierUnderTest {
  readonly name: string;
  /** True for the plain TypeScript twins, which are an order of magnitude slower. */
  readonly isReadable: boolean;
  create(): Promise<Kernels>;
}

function twins(): KernelTwins {
  return {
    scanner: createReadableScanner(),
    hasher: createReadableBlake3(),
    codec: createReadableCodec(),
    gearTable: GEAR_TABLE,
  };
}

/** Tiers that run here; those that cannot are left out (`simd` needs WebAssembly SIMD). */
export function tiersUnderTest(): TierUnderTest[] {
  const tiers: TierUnderTest[] = [
    {
      name: 'readable',
      isReadable: true,
      create: () => createKernels({ tier: 'readable', twins: twins() }),
    },
    {
      name: 'portable',
      isReadable: false,
      create: () => createKernels({ tier: 'portable', twins: twins() }),
    },
  ];
  if (!simdAvailable()) return tiers;
  tiers.push({
    name: 'simd',
    isReadable: false,
    create: () => createKernels({ tier: 'simd', twins: twins() }),
  });
  if (!sharedMemoryAvailable()) return tiers;
  tiers.push({
    name: 'simd over shared memory',
    isReadable: false,
    create: () =>
      createKernels({
        tier: 'simd',
        twins: twins(),
        memory: createSharedMemory({ bytes: 8 * 1024 * 1024 }),
      }),
  });
  return tiers;
}
