import { type CompressionPolicy, DEFAULT_COMPRESSION_POLICY } from '../../compress/index.js';
import type { TierRequest } from '../../kernels/index.js';
import { createSha256s } from '../../kernels/web.js';
import { ThreadedPool } from '../compute-pool.js';
import { DEFAULT_MAX_MEMORY_BYTES, DEFAULT_MAX_THREADS } from '../defaults.js';
import { MIN_MAX_MEMORY_BYTES, planMemory } from '../memory-plan.js';
import type { WorkerPool } from '../pool.js';
import { sharedMemoryFor } from '../pool-memory.js';
import { createThreadKernels } from '../thread-kernels.js';
import type { SpawnPageThread } from './page-thread.js';
import { createPageThreads } from './page-threads.js';

/** Options of {@link createPagePool}, as of `createComputePool`. */
export interface PagePoolOptions {
  readonly spawn: SpawnPageThread;
  readonly maxMemory?: number | undefined;
  readonly threads?: number | undefined;
  readonly tier?: TierRequest | undefined;
  readonly sharedMemory?: boolean | undefined;
  readonly compression?: CompressionPolicy | undefined;
  readonly inThreadBytes?: number | undefined;
  readonly idleTimeoutMs?: number | undefined;
}

/**
 * The pool of a page: module workers over shared memory where the page is cross-origin isolated, over
 * buffers that travel where it is not. Options are checked by the caller.
 *
 * @throws OrbweaverError `KERNEL_UNAVAILABLE`
 */
export async function createPagePool(options: PagePoolOptions): Promise<WorkerPool> {
  const threads = options.threads ?? defaultThreads();
  const plan = planMemory(options.maxMemory ?? defaultMaxMemory(), threads);
  const memory = sharedMemoryFor(plan, options.sharedMemory);
  const [kernels, createSha256] = await Promise.all([
    createThreadKernels({
      tier: options.tier,
      memory: memory ?? undefined,
      scratchBase: memory === null ? undefined : plan.scratchBase,
    }),
    createSha256s(),
  ]);
  const { spawn, idleTimeoutMs } = options;
  return new ThreadedPool({
    plan,
    memory,
    threads,
    kernels,
    createSha256,
    compression: options.compression ?? DEFAULT_COMPRESSION_POLICY,
    inThreadBytes: options.inThreadBytes ?? 0,
    startThreads: (parts) => createPageThreads(parts, { spawn, idleTimeoutMs }),
  });
}

/** What browsers say of the machine; they may say less than there is. */
interface PageMachine {
  readonly hardwareConcurrency?: number;
  /** GiB, rounded, at most 8. */
  readonly deviceMemory?: number;
}

function pageMachine(): PageMachine {
  return (globalThis as { navigator?: PageMachine }).navigator ?? {};
}

function defaultThreads(): number {
  return Math.max(1, Math.min(DEFAULT_MAX_THREADS, pageMachine().hardwareConcurrency ?? 1));
}

function defaultMaxMemory(): number {
  const { deviceMemory = 4 } = pageMachine();
  const eighth = Math.floor((deviceMemory * 1024 * 1024 * 1024) / 8);
  return Math.max(MIN_MAX_MEMORY_BYTES, Math.min(DEFAULT_MAX_MEMORY_BYTES, eighth));
}
