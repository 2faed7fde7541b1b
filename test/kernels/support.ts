import { createReadableScanner, GEAR_TABLE } from '../../src/chunker/index.js';
import { createReadableCodec } from '../../src/compress/index.js';
import { createReadableBlake3 } from '../../src/hash/index.js';
import {
  createKernels,
  createSharedMemory,
  KERNEL_SCRATCH_BYTES,
  KERNEL_STATIC_BYTES,
  type Kernels,
  type KernelTwins,
  type WasmMemory,
} from '../../src/kernels/index.js';
import { wasmApi } from '../../src/kernels/wasm-types.js';

/** The readable implementations: oracles here, fallbacks in the kernels. */
export const twins: KernelTwins = {
  scanner: createReadableScanner(),
  hasher: createReadableBlake3(),
  codec: createReadableCodec(),
  gearTable: GEAR_TABLE,
};

/** Kernels beside a way to put bytes where they are used: in place, or outside and copied. */
export interface Setup {
  readonly name: string;
  readonly kernels: Kernels;
  /**
   * `length` bytes in slot 0 to 3, `misalign` bytes off a multiple of 64. Slots (1 MiB each) do not
   * overlap; the bytes are whatever was there before.
   */
  view(slot: number, length: number, misalign?: number): Uint8Array;
}

const SLOT_BYTES = 1 << 20;
const SLOT_COUNT = 4;

function viewsOver(buffer: ArrayBufferLike, base: number): Setup['view'] {
  return (slot, length, misalign = 0) => {
    if (slot >= SLOT_COUNT || length + misalign > SLOT_BYTES)
      throw new RangeError('slot too small');
    return new Uint8Array(buffer, base + slot * SLOT_BYTES + misalign, length);
  };
}

/** Two scratch spaces and the slots of two instances. */
export const SHARED_BYTES: number =
  KERNEL_STATIC_BYTES + 2 * KERNEL_SCRATCH_BYTES + 2 * SLOT_COUNT * SLOT_BYTES;

/** An ordinary memory of the same size that may still grow. */
export function createOrdinaryMemory(): WasmMemory {
  const api = wasmApi();
  if (api === null) throw new Error('no WebAssembly');
  return new api.Memory({ initial: Math.ceil(SHARED_BYTES / 65536), maximum: 2048 });
}

/** Every way the SIMD kernels get their bytes. The first two instances live in one shared memory. */
export async function createSetups(): Promise<Setup[]> {
  const dataBase = KERNEL_STATIC_BYTES + 2 * KERNEL_SCRATCH_BYTES;
  const shared = createSharedMemory({ bytes: SHARED_BYTES });
  const first = await createKernels({ tier: 'simd', twins, memory: shared });
  const second = await createKernels({
    tier: 'simd',
    twins,
    memory: shared,
    scratchBase: KERNEL_STATIC_BYTES + KERNEL_SCRATCH_BYTES,
  });
  const ordinary = createOrdinaryMemory();
  const plain = await createKernels({ tier: 'simd', twins, memory: ordinary });
  const own = await createKernels({ tier: 'simd', twins });
  const unshared = new ArrayBuffer(SLOT_COUNT * SLOT_BYTES);
  const outside = new SharedArrayBuffer(SLOT_COUNT * SLOT_BYTES);
  const secondBase = dataBase + SLOT_COUNT * SLOT_BYTES;
  return [
    { name: 'shared, in place', kernels: first, view: viewsOver(shared.buffer, dataBase) },
    { name: 'shared, second one', kernels: second, view: viewsOver(shared.buffer, secondBase) },
    { name: 'ordinary, in place', kernels: plain, view: viewsOver(ordinary.buffer, dataBase) },
    { name: 'ordinary, copied', kernels: own, view: viewsOver(unshared, 0) },
    { name: 'shared, copied', kernels: first, view: viewsOver(outside, 0) },
  ];
}

/** Lengths whose block, leaf and chunk counts change, with both neighbours. */
export function boundaryLengths(maxBytes = 131072): number[] {
  const lengths = new Set<number>();
  for (let base = 1024; base <= maxBytes; base *= 2) {
    for (const middle of [base, base + 1024, base + 2048, base + 3072, (base * 3) / 2]) {
      for (const length of [middle - 1, middle, middle + 1]) {
        if (length <= maxBytes + 1) lengths.add(length);
      }
    }
  }
  for (const odd of [60_001, 65_500, 99_999, 130_057]) if (odd <= maxBytes) lengths.add(odd);
  return [...lengths].sort((a, b) => a - b);
}

/** Fails with the first place where two arrays differ (much faster than a deep comparison). */
export function firstDifference(a: Uint8Array, b: Uint8Array): number {
  if (a.length !== b.length) return Math.min(a.length, b.length);
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return i;
  return -1;
}

/** Numbers below `bound` from a seed, the same in every run. */
export function createDice(seed: number): (bound: number) => number {
  let state = seed >>> 0;
  return (bound) => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let x = Math.imul(state ^ (state >>> 15), state | 1);
    x ^= x + Math.imul(x ^ (x >>> 7), x | 61);
    return ((x ^ (x >>> 14)) >>> 0) % bound;
  };
}
