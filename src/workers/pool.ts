import type { ComputePool } from '../client/ports.js';
import { type CompressionPolicy, DEFAULT_COMPRESSION_POLICY } from '../compress/index.js';
import { OrbweaverError } from '../errors.js';
import {
  createSharedMemory,
  type Kernels,
  sharedMemoryAvailable,
  type TierRequest,
  type WasmMemory,
} from '../kernels/index.js';
import type { VerifiedXorb } from '../xorb/index.js';
import {
  defaultMaxMemory,
  defaultThreads,
  type MemoryPlan,
  MIN_MAX_MEMORY_BYTES,
  planMemory,
} from './memory-plan.js';
import { PiscinaPool } from './piscina-pool.js';
import { createThreadKernels } from './thread-kernels.js';

/** Options of {@link createComputePool}. */
export interface ComputePoolOptions {
  /**
   * Bytes that all buffers of uploads and downloads together may take, at least 4 MiB; more than
   * 4 GiB is not used. Memory is committed when it is first touched.
   * @default defaultMaxMemory(): the smaller of 96 MiB and 1/8 of what the process may use
   */
  readonly maxMemory?: number | undefined;
  /** Worker threads; 0 runs everything on the calling thread. @default defaultThreads() */
  readonly threads?: number | undefined;
  /** Kernel tier. @default 'auto' */
  readonly tier?: TierRequest | undefined;
  /**
   * True: workers see one shared memory. False: buffers are transferred to them and back.
   * @default true where memory can be shared
   */
  readonly sharedMemory?: boolean | undefined;
  /** How chunks are compressed. @default 'auto' */
  readonly compression?: CompressionPolicy | undefined;
  /**
   * Bytes that tasks may look at on the calling thread before threads are started, a quarter of them in
   * one task: for programs whose work may be so small that a thread's start (50 ms of processor time)
   * would be most of it. Hashes of a sixteenth of it are made there at any time.
   * @default 0
   */
  readonly inThreadBytes?: number | undefined;
}

/** A {@link ComputePool} with what its owner needs besides. */
export interface WorkerPool extends ComputePool {
  /** The kernels of the thread that owns the pool, for small work that is not worth a message. */
  readonly kernels: Kernels;
  /** Threads alive now, the SHA-256 thread not counted. */
  readonly liveThreads: number;
  /**
   * Tells that about so many bytes are going to be uploaded or downloaded: threads that are worth it
   * start while the caller gets ready, instead of with the first tasks.
   */
  expectBytes(bytes: number): void;
  /**
   * Decodes and hashes every chunk of a serialized xorb in all threads, while it arrives. Gives the
   * records back without a footer, each piece borrowed until the next step, and returns what was
   * verified; the root is for the caller to compare. Leaving early gives all memory back.
   * @throws OrbweaverError a format code for bytes that are no xorb; what `pieces` throws
   */
  receiveXorb(
    pieces: AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array, VerifiedXorb, undefined>;
}

const MAX_THREADS = 256;

/**
 * Makes the pool that uploads, downloads and gateways compute with. Threads start with the first
 * task, sleep when there is none, end after 30 s of sleep, and never keep the process alive.
 *
 * @throws RangeError for options out of range
 * @throws OrbweaverError `KERNEL_UNAVAILABLE` for a forced tier or `sharedMemory: true` that does not
 * run here
 *
 * @example
 * const pool = await createComputePool({ threads: 2, maxMemory: 64 * 1024 * 1024 });
 * const [slab] = await pool.acquire(1);
 * slab.release();
 * await pool.close();
 */
export async function createComputePool(options: ComputePoolOptions = {}): Promise<WorkerPool> {
  const maxMemory = options.maxMemory ?? defaultMaxMemory();
  const threads = options.threads ?? defaultThreads();
  checkRange('maxMemory', maxMemory, MIN_MAX_MEMORY_BYTES, Number.MAX_SAFE_INTEGER);
  const inThreadBytes = options.inThreadBytes ?? 0;
  checkRange('threads', threads, 0, MAX_THREADS);
  checkRange('inThreadBytes', inThreadBytes, 0, Number.MAX_SAFE_INTEGER);
  const plan = planMemory(maxMemory, threads);
  const memory = sharedMemoryFor(plan, options.sharedMemory);
  const kernels = await createThreadKernels({
    tier: options.tier,
    memory: memory ?? undefined,
    scratchBase: memory === null ? undefined : plan.scratchBase,
  });
  return new PiscinaPool({
    plan,
    memory,
    threads,
    kernels,
    compression: options.compression ?? DEFAULT_COMPRESSION_POLICY,
    inThreadBytes,
  });
}

/** Null: buffers are transferred. @throws OrbweaverError `KERNEL_UNAVAILABLE` */
function sharedMemoryFor(plan: MemoryPlan, wanted: boolean | undefined): WasmMemory | null {
  if (wanted === false || (wanted === undefined && !sharedMemoryAvailable())) return null;
  try {
    return createSharedMemory({ bytes: plan.totalBytes });
  } catch (error) {
    // Address space can be short (ulimit -v); ordinary buffers are then taken one by one.
    if (wanted === undefined && error instanceof OrbweaverError) return null;
    throw error;
  }
}

function checkRange(name: string, value: number, min: number, max: number): void {
  if (!Number.isSafeInteger(value)) throw new TypeError(`"${name}" expected an integer`);
  if (value < min || value > max) {
    throw new RangeError(`"${name}" expected ${min} to ${max}, got ${value}`);
  }
}
