import type { CompressionPolicy } from '../compress/index.js';
import type { TierRequest } from '../kernels/index.js';
import { is, type OptionRules } from '../options/index.js';
import {
  type ComputePoolOptions,
  createComputePool,
  MIN_MAX_MEMORY_BYTES,
  type WorkerPool,
} from '../workers/index.js';

/** How much of the machine may be used. All optional. */
export interface ComputeOptions {
  /**
   * Worker threads that chunk, hash, compress and verify; 0 runs everything on the calling thread.
   * @default one per core, at most 8
   */
  readonly workers?: number | undefined;
  /**
   * Bound on all buffers of uploads and downloads together, in bytes, at least 4 MiB. Node itself
   * takes about 80 MiB on top.
   * @default the smaller of 96 MiB and 1/8 of what the process may use (container limit included)
   */
  readonly maxMemory?: number | undefined;
  /** Kernels: `simd`, `portable` or `readable`; `auto` takes the fastest that runs. @default 'auto' */
  readonly tier?: TierRequest | undefined;
  /** False transfers buffers to the workers instead of sharing memory. @default true where it can be */
  readonly sharedMemory?: boolean | undefined;
  /** How chunks are compressed. @default 'auto' */
  readonly compression?: CompressionPolicy | undefined;
  /**
   * `file:` URL of a folder with a copy of `dist/workers` of this package: for programs that are bundled
   * into one file and run where the package is not installed.
   * @default found beside the package's own modules
   */
  readonly workerUrl?: string | URL | undefined;
}

export const COMPUTE_RULES: OptionRules<ComputeOptions> = {
  workers: is.integer(0, 256),
  maxMemory: is.integer(MIN_MAX_MEMORY_BYTES),
  tier: is.oneOf(['auto', 'simd', 'portable', 'readable']),
  sharedMemory: is.flag,
  compression: is.text,
  workerUrl: is.either(is.text, is.object),
};

/** The pool for these options. @throws RangeError, OrbweaverError `KERNEL_UNAVAILABLE` */
export function poolOf(
  options: ComputeOptions,
  { inThreadBytes }: Pick<ComputePoolOptions, 'inThreadBytes'> = {},
): Promise<WorkerPool> {
  const pool: ComputePoolOptions = {
    threads: options.workers,
    maxMemory: options.maxMemory,
    tier: options.tier,
    sharedMemory: options.sharedMemory,
    compression: options.compression,
    inThreadBytes,
    workerUrl: options.workerUrl,
  };
  return createComputePool(pool);
}
