import type { ComputePool } from '../client/ports.js';
import { type CompressionPolicy, DEFAULT_COMPRESSION_POLICY } from '../compress/index.js';
import type { Body } from '../http/index.js';
import { createSha256, type Kernels, type TierRequest } from '../kernels/index.js';
import { checkOptions, is, type OptionRules } from '../options/index.js';
import type { VerifiedXorb } from '../xorb/index.js';
import { ThreadedPool } from './compute-pool.js';
import { defaultMaxMemory, defaultThreads } from './machine.js';
import { MIN_MAX_MEMORY_BYTES, planMemory } from './memory-plan.js';
import { sharedMemoryFor } from './pool-memory.js';
import { createThreadKernels } from './thread-kernels.js';
import { warnThreadless } from './threadless.js';
import { createThreads } from './threads.js';
import { findWorkerFolder } from './worker-files.js';

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
  /** After so long without work a thread ends, ms. @default 30000 */
  readonly idleTimeoutMs?: number | undefined;
  /**
   * `file:` URL of the folder with the programs of threads (`dist/workers` of the package): for
   * programs that are bundled into one file and run without the package.
   * @default found beside this module, or in the installed package
   */
  readonly workerUrl?: string | URL | undefined;
}

const RULES: OptionRules<ComputePoolOptions> = {
  maxMemory: is.integer(MIN_MAX_MEMORY_BYTES),
  threads: is.integer(0, 256),
  tier: is.oneOf(['auto', 'simd', 'portable', 'readable']),
  sharedMemory: is.flag,
  compression: is.text,
  inThreadBytes: is.integer(0),
  idleTimeoutMs: is.number(0),
  workerUrl: is.either(is.text, is.object),
};

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
   * @throws OrbweaverError a format code for bytes that are no xorb; what `body` throws
   */
  receiveXorb(body: Pick<Body, 'fill'>): AsyncGenerator<Uint8Array, VerifiedXorb, undefined>;
}

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
  checkOptions('createComputePool', options, RULES);
  const maxMemory = options.maxMemory ?? defaultMaxMemory();
  const wanted = options.threads ?? defaultThreads();
  const workerFolder = wanted === 0 ? '' : workerFolderFor(options.workerUrl);
  const threads = workerFolder === null ? 0 : wanted;
  const plan = planMemory(maxMemory, threads);
  const memory = sharedMemoryFor(plan, options.sharedMemory);
  const kernels = await createThreadKernels({
    tier: options.tier,
    memory: memory ?? undefined,
    scratchBase: memory === null ? undefined : plan.scratchBase,
  });
  return new ThreadedPool({
    plan,
    memory,
    threads,
    kernels,
    createSha256,
    compression: options.compression ?? DEFAULT_COMPRESSION_POLICY,
    inThreadBytes: options.inThreadBytes ?? 0,
    startThreads: (parts) =>
      createThreads(parts, {
        idleTimeoutMs: options.idleTimeoutMs,
        workerFolder: workerFolder ?? '',
      }),
  });
}

/** Null: the programs of threads are missing, and everything runs on the calling thread. */
function workerFolderFor(workerUrl: string | URL | undefined): string | null {
  try {
    return findWorkerFolder(workerUrl);
  } catch (error) {
    if (workerUrl !== undefined) throw error;
    warnThreadless(error);
    return null;
  }
}
