import { KERNEL_SCRATCH_BYTES, KERNEL_STATIC_BYTES } from '../kernels/index.js';

/**
 * How the one memory of a pool is cut up. Addresses grow to the right:
 *
 *     | static | scratch 0 | scratch 1 | … | slab 0 | slab 1 | …            |
 *     0        KERNEL_STATIC_BYTES          slabBase             maxMemory ─┘
 *
 * Scratch 0 belongs to the kernels of the thread that owns the pool, the others to those of workers.
 * There is one more than there are workers, so that a worker that replaces a dying one never has to
 * share.
 */

const MIB = 1024 * 1024;
const PAGE_BYTES = 65536;

/** Smallest budget: with less there is no room for one file being read, packed and sent. */
export const MIN_MAX_MEMORY_BYTES: number = 4 * MIB;

/** WebAssembly memory ends at 4 GiB. */
const MAX_MAX_MEMORY_BYTES = 65535 * PAGE_BYTES;

/**
 * Slabs wanted in a pool: enough for one xorb that is filled, one that is sent and the reads
 * meanwhile, at a granularity fine enough for several lanes.
 */
const SLABS_WANTED = 24;
const MIN_SLAB_BYTES = 512 * 1024;
/** From 4 MiB on a task is long (milliseconds) against its message (tens of microseconds). */
const MAX_SLAB_BYTES = 4 * MIB;

/** Where everything lies, in bytes from the start of the memory. */
export interface MemoryPlan {
  readonly slabBytes: number;
  readonly slabCount: number;
  readonly scratchBase: number;
  readonly scratchCount: number;
  readonly scratchBytes: number;
  readonly slabBase: number;
  readonly totalBytes: number;
}

/** Cuts `maxMemory` bytes up for `threads` workers. Arguments are checked by the caller. */
export function planMemory(maxMemory: number, threads: number): MemoryPlan {
  const budget = Math.min(maxMemory, MAX_MAX_MEMORY_BYTES);
  const wanted = Math.floor(budget / SLABS_WANTED / PAGE_BYTES) * PAGE_BYTES;
  const slabBytes = Math.min(MAX_SLAB_BYTES, Math.max(MIN_SLAB_BYTES, wanted));
  const scratchCount = threads + 2;
  const scratchBytes = roundUp(KERNEL_SCRATCH_BYTES, PAGE_BYTES);
  const slabBase = roundUp(KERNEL_STATIC_BYTES, PAGE_BYTES) + scratchBytes * scratchCount;
  // With many threads on a small budget the scratch space comes on top of it.
  const slabCount = Math.max(
    Math.floor(MIN_MAX_MEMORY_BYTES / MIN_SLAB_BYTES),
    Math.floor((budget - slabBase) / slabBytes),
  );
  return {
    slabBytes,
    slabCount,
    scratchBase: roundUp(KERNEL_STATIC_BYTES, PAGE_BYTES),
    scratchCount,
    scratchBytes,
    slabBase,
    totalBytes: slabBase + slabCount * slabBytes,
  };
}

function roundUp(bytes: number, unit: number): number {
  return Math.ceil(bytes / unit) * unit;
}
