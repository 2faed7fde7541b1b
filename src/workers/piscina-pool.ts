import type { ComputePool, PackRequest, Slab, SlabSegment } from '../client/ports.js';
import type { CompressionPolicy } from '../compress/index.js';
import { OrbweaverError } from '../errors.js';
import { HASH_BYTES } from '../hash/index.js';
import type { Kernels, WasmMemory } from '../kernels/index.js';
import type { VerifiedXorb } from '../xorb/index.js';
import { createInThreadExecutor, replyOf, type TaskExecutor } from './executor.js';
import { GradualExecutor } from './gradual-executor.js';
import type { MemoryPlan } from './memory-plan.js';
import type { ReplyOf, Sha256Task, SlabRef, Task } from './messages.js';
import type { WorkerPool } from './pool.js';
import { receiveXorbInPool } from './receive-xorb.js';
import { createSha256Runner, type Sha256Answer } from './sha256-runner.js';
import { createSha256Stream, type Sha256Host } from './sha256-stream.js';
import { SlabAllocator } from './slab-allocator.js';
import { SlabLending } from './slab-lending.js';
import { createTaskContext } from './tasks/context.js';
import { warnThreadless } from './threadless.js';

/**
 * Hashes of this part of what may be done on the calling thread are made there at any time: the few
 * chunks at the seams of segments take some 0.2 ms, and would wait for whole slabs in the workers' queue.
 */
const HASH_HERE_SHARE = 16;

/** What a pool is made of. */
export interface PoolParts {
  readonly plan: MemoryPlan;
  readonly memory: WasmMemory | null;
  readonly threads: number;
  readonly kernels: Kernels;
  readonly compression: CompressionPolicy;
  readonly inThreadBytes: number;
}

/** The pool over piscina, which is loaded with the first thread, or over the calling thread. */
export class PiscinaPool implements WorkerPool {
  readonly slabBytes: number;
  readonly slabCount: number;
  readonly threads: number;
  readonly tier: string;
  readonly sharedMemory: boolean;
  readonly kernels: Kernels;
  readonly #allocator: SlabAllocator;
  readonly #lending: SlabLending;
  readonly #executor: TaskExecutor;
  readonly #inThread: TaskExecutor;
  /** Set when there are threads to be had. */
  readonly #gradual: GradualExecutor | null;
  readonly #inThreadBytes: number;
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
    this.#lending = new SlabLending(this.#allocator, this.sharedMemory);
    this.#inThread = createInThreadExecutor(() =>
      createTaskContext({
        kernels,
        compression: parts.compression,
        memory,
        slabBytes: plan.slabBytes,
      }),
    );
    this.#inThreadBytes = parts.inThreadBytes;
    this.#gradual =
      threads === 0
        ? null
        : new GradualExecutor({
            inThread: this.#inThread,
            inThreadBytes: parts.inThreadBytes,
            loadThreads: async () => {
              const { tier, module } = kernels;
              const { compression } = parts;
              try {
                const { createWorkerExecutor } = await import('./worker-executor.js');
                return createWorkerExecutor({ plan, memory, threads, tier, compression, module });
              } catch (error) {
                warnThreadless(error);
                const here = this.#inThread;
                return {
                  run: (task, transfer) => here.run(task, transfer),
                  close: async () => {},
                  threadCount: 0,
                };
              }
            },
          });
    this.#executor = this.#gradual ?? this.#inThread;
  }

  get freeSlabs(): number {
    return this.#allocator.freeCount;
  }

  get waiting(): number {
    return this.#allocator.waitingCount;
  }

  get liveThreads(): number {
    return this.#gradual?.threadCount ?? 0;
  }

  acquire(count: number, signal?: AbortSignal): Promise<Slab[]> {
    return this.#allocator.acquire(count, signal);
  }

  onStarved(listener: () => void): () => void {
    return this.#allocator.onStarved(listener);
  }

  async chunk(slab: Slab, segments: readonly SlabSegment[]): ReturnType<ComputePool['chunk']> {
    const reply = await this.#run([slab], ([ref]) => ({
      kind: 'chunk',
      slab: ref as SlabRef,
      segments,
    }));
    const { candidates, candidateEnds, certainStarts, hashes, hashEnds, sha256 } = reply;
    return segments.map((segment, i) => ({
      candidates: candidates.subarray(candidateEnds[i - 1] ?? 0, candidateEnds[i]),
      certainStart: certainStarts[i] as number,
      hashes: hashes.subarray(
        HASH_BYTES * (hashEnds[i - 1] ?? 0),
        HASH_BYTES * (hashEnds[i] as number),
      ),
      sha256: segment.sha256 ? sha256.subarray(HASH_BYTES * i, HASH_BYTES * (i + 1)) : null,
    }));
  }

  async hash(slab: Slab, starts: Uint32Array, lengths: Uint32Array): Promise<Uint8Array> {
    let bytes = 0;
    for (const length of lengths) bytes += length;
    const here = this.sharedMemory && bytes <= this.#inThreadBytes / HASH_HERE_SHARE;
    const reply = await this.#run(
      [slab],
      ([ref]) => ({ kind: 'hash', slab: ref as SlabRef, starts, lengths }),
      here ? this.#inThread : this.#executor,
    );
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
    const { input, output, runs, rows } = request;
    return this.#run([input, output], ([inputRef, outputRef]) => ({
      kind: 'decode',
      slab: inputRef as SlabRef,
      target: outputRef as SlabRef,
      runs,
      rows: rows ?? null,
    }));
  }

  createSha256(): ReturnType<ComputePool['createSha256']> {
    // Its thread starts now and not with the first bytes, which are being read meanwhile.
    if (this.#sha256 === null && this.#closing === null) {
      this.#sha256 = this.#startSha256();
      void this.#sha256({ kind: 'drop', stream: -1 }, []).catch(() => undefined);
    }
    const host: Sha256Host = {
      lendsAtOnce: this.sharedMemory,
      lend: (slab, work) =>
        this.#lending.lend(slab === null ? [] : [slab], ([ref], transfer) =>
          work(ref ?? 0, transfer),
        ),
      send: (task, transfer) => this.#runSha256(task, transfer),
    };
    return createSha256Stream(host, this.#sha256Count++);
  }

  expectBytes(bytes: number): void {
    // Every byte is looked at by two tasks, and a quarter of what may be done is the most for one.
    if (4 * bytes <= this.#inThreadBytes) return;
    this.#gradual?.start(Math.min(this.threads, Math.ceil(bytes / this.slabBytes)));
  }

  receiveXorb(
    pieces: AsyncIterable<Uint8Array>,
  ): AsyncGenerator<Uint8Array, VerifiedXorb, undefined> {
    const host = {
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
    return receiveXorbInPool(host, pieces);
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
    executor: TaskExecutor = this.#executor,
  ): Promise<ReplyOf<T>> {
    const answer = await this.#lending.lend(slabs, (refs, transfer) =>
      executor.run(makeTask(refs), transfer),
    );
    return replyOf(answer.outcome) as ReplyOf<T>;
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
    const memory = this.#memory;
    const here = (): ((task: Sha256Task) => Promise<Sha256Answer>) => {
      const run = createSha256Runner(memory);
      return async (task) => {
        const answer = run(task);
        if (task.kind !== 'update' || typeof task.slab === 'number') return answer;
        return { ...answer, buffers: [task.slab] };
      };
    };
    if (this.threads === 0) return here();
    const loading = import('./worker-executor.js')
      .then(({ createSha256Executor }) => createSha256Executor(memory))
      // The tasks that need threads as well say why there are none.
      .catch(() => ({ run: here(), close: async () => {} }));
    this.#closeSha256 = async () => (await loading).close();
    // Whoever waits for the same promise goes on in the order of asking.
    return async (task, transfer) => (await loading).run(task, transfer);
  }
}
