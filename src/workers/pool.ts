import type { ComputePool, PackRequest, Slab } from '../client/ports.js';
import { type CompressionPolicy, DEFAULT_COMPRESSION_POLICY } from '../compress/index.js';
import { OrbweaverError } from '../errors.js';
import type { MerkleHash } from '../hash/index.js';
import {
  createSharedMemory,
  type Kernels,
  sharedMemoryAvailable,
  type TierRequest,
  type WasmMemory,
} from '../kernels/index.js';
import type { VerifiedXorb } from '../xorb/index.js';
import { createInThreadExecutor, replyOf, type TaskExecutor } from './executor.js';
import {
  defaultMaxMemory,
  defaultThreads,
  type MemoryPlan,
  MIN_MAX_MEMORY_BYTES,
  planMemory,
} from './memory-plan.js';
import type {
  ReplyOf,
  Sha256Setup,
  Sha256Task,
  SharedSetup,
  SlabRef,
  Task,
  WorkerAnswer,
  WorkerSetup,
} from './messages.js';
import { createSha256Runner, type Sha256Answer } from './sha256-runner.js';
import { createSha256Stream, type Sha256Host } from './sha256-stream.js';
import { type Block, PoolSlab, SlabAllocator } from './slab-allocator.js';
import { createTaskContext } from './tasks/context.js';
import { ThreadExecutor } from './thread-executor.js';
import { createThreadKernels } from './thread-kernels.js';
import { verifyXorbInPool } from './verify-xorb.js';

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
}

/** A {@link ComputePool} with what its owner needs besides. */
export interface WorkerPool extends ComputePool {
  /** The kernels of the thread that owns the pool, for small work that is not worth a message. */
  readonly kernels: Kernels;
  /** Threads alive now, the SHA-256 thread not counted. */
  readonly liveThreads: number;
  /**
   * Decodes and hashes every chunk of a serialized xorb, in all threads. `bytes` is borrowed until
   * the promise settles.
   * @throws OrbweaverError `INTEGRITY` when the root is not `expected`, a format code otherwise
   */
  verifyXorb(bytes: Uint8Array, expected?: MerkleHash): Promise<VerifiedXorb>;
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
  checkRange('threads', threads, 0, MAX_THREADS);
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
  });
}

interface PoolParts {
  readonly plan: MemoryPlan;
  readonly memory: WasmMemory | null;
  readonly threads: number;
  readonly kernels: Kernels;
  readonly compression: CompressionPolicy;
}

class PiscinaPool implements WorkerPool {
  readonly slabBytes: number;
  readonly slabCount: number;
  readonly threads: number;
  readonly tier: string;
  readonly sharedMemory: boolean;
  readonly kernels: Kernels;
  readonly #allocator: SlabAllocator;
  readonly #executor: TaskExecutor;
  readonly #liveThreads: () => number;
  readonly #memory: WasmMemory | null;
  #sha256: ((task: Sha256Task, transfer: ArrayBuffer[]) => Promise<Sha256Answer>) | null = null;
  #closeSha256: () => Promise<void> = async () => {};
  #sha256Count = 0;
  #closing: Promise<void> | null = null;

  constructor(parts: PoolParts) {
    const { plan, memory, threads, kernels } = parts;
    this.slabBytes = plan.slabBytes;
    this.slabCount = plan.slabCount;
    this.threads = threads;
    this.tier = kernels.tier;
    this.kernels = kernels;
    this.sharedMemory = memory !== null;
    this.#memory = memory;
    this.#allocator = new SlabAllocator(plan.slabCount, (index) => {
      if (memory === null) return { offset: -1, bytes: new Uint8Array(plan.slabBytes) };
      const offset = plan.slabBase + index * plan.slabBytes;
      return { offset, bytes: new Uint8Array(memory.buffer, offset, plan.slabBytes) };
    });
    if (threads === 0) {
      this.#executor = createInThreadExecutor(
        createTaskContext({
          kernels,
          compression: parts.compression,
          memory,
          slabBytes: plan.slabBytes,
        }),
      );
      this.#liveThreads = () => 0;
    } else {
      const executor = createWorkerExecutor(parts);
      this.#executor = executor;
      this.#liveThreads = () => executor.threadCount;
    }
  }

  get freeSlabs(): number {
    return this.#allocator.freeCount;
  }

  get waiting(): number {
    return this.#allocator.waitingCount;
  }

  get liveThreads(): number {
    return this.#liveThreads();
  }

  acquire(count: number, signal?: AbortSignal): Promise<Slab[]> {
    return this.#allocator.acquire(count, signal);
  }

  onStarved(listener: () => void): () => void {
    return this.#allocator.onStarved(listener);
  }

  async scan(
    slab: Slab,
    segments: Parameters<ComputePool['scan']>[1],
    maskBits: number,
  ): ReturnType<ComputePool['scan']> {
    const reply = await this.#run([slab], ([ref]) => ({
      kind: 'scan',
      slab: ref as SlabRef,
      segments,
      maskBits,
    }));
    const candidates: Uint32Array[] = [];
    let start = 0;
    for (const end of reply.ends) {
      candidates.push(reply.candidates.subarray(start, end));
      start = end;
    }
    return { candidates };
  }

  async hash(slab: Slab, starts: Uint32Array, lengths: Uint32Array): Promise<Uint8Array> {
    const reply = await this.#run([slab], ([ref]) => ({
      kind: 'hash',
      slab: ref as SlabRef,
      starts,
      lengths,
    }));
    return reply.hashes;
  }

  pack(request: PackRequest): ReturnType<ComputePool['pack']> {
    const { source, target, targetOffset, starts, lengths } = request;
    const slabs = source === target ? [source] : [source, target];
    return this.#run(slabs, ([sourceRef, targetRef]) => ({
      kind: 'pack',
      slab: sourceRef as SlabRef,
      target: targetRef ?? null,
      targetOffset,
      starts,
      lengths,
    }));
  }

  decode(request: Parameters<ComputePool['decode']>[0]): ReturnType<ComputePool['decode']> {
    const { input, start, end, output, outputOffset, expectedBytes } = request;
    return this.#run([input, output], ([inputRef, outputRef]) => ({
      kind: 'decode',
      slab: inputRef as SlabRef,
      start,
      end,
      target: outputRef as SlabRef,
      outputOffset,
      expectedBytes,
    }));
  }

  createSha256(): ReturnType<ComputePool['createSha256']> {
    const host: Sha256Host = {
      lendsAtOnce: this.sharedMemory,
      lend: (slab, work) =>
        this.#withBlocks(slab === null ? [] : [slab], ([ref], transfer) =>
          work(ref ?? 0, transfer),
        ),
      send: (task, transfer) => this.#runSha256(task, transfer),
    };
    return createSha256Stream(host, this.#sha256Count++);
  }

  verifyXorb(bytes: Uint8Array, expected?: MerkleHash): Promise<VerifiedXorb> {
    const host = {
      slabBytes: this.slabBytes,
      threads: this.threads,
      hasher: this.kernels.hasher,
      acquire: (count: number) => this.acquire(count),
      verifyRecords: async (slab: Slab, start: number, end: number): Promise<Uint8Array> => {
        const reply = await this.#run([slab], ([ref]) => ({
          kind: 'verify',
          slab: ref as SlabRef,
          start,
          end,
        }));
        return reply.hashes;
      },
    };
    return verifyXorbInPool(host, bytes, expected);
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    this.#allocator.close();
    await Promise.all([this.#executor.close(), this.#closeSha256()]);
  }

  async #run<T extends Task>(
    slabs: readonly Slab[],
    makeTask: (refs: SlabRef[]) => T,
  ): Promise<ReplyOf<T>> {
    const answer = await this.#withBlocks(slabs, (refs, transfer) =>
      this.#executor.run(makeTask(refs), transfer),
    );
    return replyOf(answer.outcome) as ReplyOf<T>;
  }

  /**
   * Runs `work` with references to `slabs`. On shared memory tasks overlap freely. Otherwise the
   * buffers leave, so each task waits for the one before on the same slab, and puts back what came
   * home; the buffer that died with its worker is replaced by an empty one.
   */
  async #withBlocks<A extends Pick<WorkerAnswer, 'buffers'>>(
    slabs: readonly Slab[],
    work: (refs: SlabRef[], transfer: ArrayBuffer[]) => Promise<A>,
  ): Promise<A> {
    const blocks = slabs.map((slab) => this.#blockOf(slab));
    const endTasks = blocks.map((block) => this.#allocator.beginTask(block));
    try {
      if (this.sharedMemory) {
        return await work(
          blocks.map((block) => block.offset),
          [],
        );
      }
      const before = Promise.allSettled(blocks.map((block) => block.lastTask));
      const run = before.then(() => this.#lend(blocks, work));
      for (const block of blocks) block.lastTask = run.catch(() => undefined);
      return await run;
    } finally {
      for (const end of endTasks) end();
    }
  }

  async #lend<A extends Pick<WorkerAnswer, 'buffers'>>(
    blocks: readonly Block[],
    work: (refs: SlabRef[], transfer: ArrayBuffer[]) => Promise<A>,
  ): Promise<A> {
    const refs = blocks.map((block) => block.bytes);
    try {
      const transfer = refs.map((bytes) => bytes.buffer as ArrayBuffer);
      const answer = await work(refs, transfer);
      answer.buffers.forEach((bytes, i) => {
        (blocks[i] as Block).bytes = bytes;
      });
      return answer;
    } finally {
      for (const block of blocks) {
        if (block.bytes.length === 0) block.bytes = new Uint8Array(this.slabBytes);
      }
    }
  }

  #blockOf(slab: Slab): Block {
    if (slab instanceof PoolSlab && slab.allocator === this.#allocator) return slab.block;
    throw new TypeError('"slab" expected one of this pool, got another');
  }

  #runSha256(task: Sha256Task, transfer: ArrayBuffer[]): Promise<Sha256Answer> {
    if (this.#closing !== null) {
      return Promise.reject(new OrbweaverError('CLOSED', 'the pool is closed'));
    }
    this.#sha256 ??= this.#startSha256();
    return this.#sha256(task, transfer);
  }

  /** A thread of its own, in order: the state of a hash cannot move between workers. */
  #startSha256(): (task: Sha256Task, transfer: ArrayBuffer[]) => Promise<Sha256Answer> {
    if (this.threads === 0) {
      const run = createSha256Runner(this.#memory);
      return async (task) => {
        const answer = run(task);
        if (task.kind !== 'update' || typeof task.slab === 'number') return answer;
        return { ...answer, buffers: [task.slab] };
      };
    }
    const executor = new ThreadExecutor<Sha256Task, Sha256Answer>(
      {
        module: new URL('./sha256-main.js', import.meta.url),
        handler: 'handleSha256',
        threads: 1,
        setup: { memory: this.#memory } satisfies Sha256Setup,
      },
      { kind: 'drop', stream: -1 },
    );
    this.#closeSha256 = () => executor.close();
    return (task, transfer) => executor.run(task, transfer);
  }
}

function createWorkerExecutor(parts: PoolParts): ThreadExecutor<Task, WorkerAnswer> {
  const { plan, memory, threads, kernels, compression } = parts;
  const owners = new Int32Array(new SharedArrayBuffer(4 * plan.scratchCount));
  const shared: SharedSetup | null =
    memory === null
      ? null
      : {
          memory,
          slabBytes: plan.slabBytes,
          scratchBase: plan.scratchBase,
          scratchBytes: plan.scratchBytes,
          owners,
        };
  const setup: WorkerSetup = { tier: kernels.tier, compression, shared };
  return new ThreadExecutor(
    {
      module: new URL('./worker-main.js', import.meta.url),
      handler: 'handleTask',
      threads,
      setup,
      onExit: (live) => {
        for (let i = 1; i < owners.length; i++) {
          const owner = Atomics.load(owners, i);
          if (owner !== 0 && !live.has(owner)) Atomics.compareExchange(owners, i, owner, 0);
        }
      },
    },
    { kind: 'ping' },
  );
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
