import type { ChunkCutter, GearScanner } from '../chunker/ports.js';
import type { BlockCodec } from '../compress/ports.js';
import type { Hasher } from '../hash/ports.js';
import type { RecordKernels } from '../xorb/ports.js';
import type { WasmMemory, WasmModule } from './wasm-types.js';

/**
 * How the byte work is done: `simd` is our WebAssembly with SIMD128, `portable` is hash-wasm's
 * BLAKE3 beside the readable rest, `readable` is plain TypeScript.
 */
export type KernelTier = 'simd' | 'portable' | 'readable';

/** A tier, or `auto`: the fastest one that runs here. */
export type TierRequest = KernelTier | 'auto';

/** The readable implementations and the table, handed in: kernels import the core's ports only. */
export interface KernelTwins {
  readonly scanner: GearScanner;
  readonly hasher: Hasher;
  readonly codec: BlockCodec;
  /** 256 values, index = byte. */
  readonly gearTable: BigUint64Array;
}

/** Options of `createKernels`. */
export interface KernelOptions {
  /** @default 'auto' */
  readonly tier?: TierRequest | undefined;
  readonly twins: KernelTwins;
  /**
   * Memory that the arguments' bytes will mostly lie in (`createSharedMemory`). Each thread makes
   * its own instance over it. Without it the instance owns a small ordinary memory and copies.
   */
  readonly memory?: WasmMemory | undefined;
  /**
   * Where this instance's own `KERNEL_SCRATCH_BYTES` start in `memory`: a multiple of 64, not below
   * `KERNEL_STATIC_BYTES`, no other instance's. @default KERNEL_STATIC_BYTES
   */
  readonly scratchBase?: number | undefined;
  /**
   * What another thread compiled for a memory of the same kind (`Kernels.module`): saves this one
   * the compilation. @default compiled here
   */
  readonly module?: WasmModule | undefined;
}

/**
 * One thread's kernels. Not to be used by two threads, and not re-entrant (it is synchronous).
 * Arguments whose `buffer` is `memory.buffer` are used in place; all others are copied through
 * the scratch space, so any array of any length works.
 */
export interface Kernels {
  readonly tier: KernelTier;
  readonly scanner: GearScanner;
  readonly hasher: Hasher;
  readonly codec: BlockCodec;
  /** Stretches cut and hashed in one call, for bytes in `memory`; null in the tiers that cannot. */
  readonly cutter: ChunkCutter | null;
  /** Whole lists of records in one call, for bytes in `memory`; null in the tiers that cannot. */
  readonly records: RecordKernels | null;
  /** The instance's memory; null in the tiers that have none. */
  readonly memory: WasmMemory | null;
  readonly sharedMemory: boolean;
  /** The compiled kernels, to be posted to other threads; null in the tiers that have none. */
  readonly module: WasmModule | null;
  /** Why `auto` did not take the fastest tier; null when it did, or when a tier was asked for. */
  readonly fallbackReason: string | null;
}
