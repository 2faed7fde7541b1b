import type { ComputePool, PackRequest, Slab, SlabSegment } from '../client/ports.js';
import { type CompressionPolicy, copyBytes } from '../compress/index.js';
import { OrbweaverError } from '../errors.js';
import { HASH_BYTES } from '../hash/index.js';
import type { Body } from '../http/index.js';
import type { Kernels, Sha256, WasmMemory } from '../kernels/index.js';
import type { VerifiedXorb } from '../xorb/index.js';
import { createInThreadExecutor, type Executor } from './executor.js';
import type { MemoryPlan } from './memory-plan.js';
import { bytesOf, type ReplyOf, type SlabRef, type Task, type WorkerReply } from './messages.js';
import type { WorkerPool } from './pool.js';
import { receiveXorbInPool } from './receive-xorb.js';
import { createSha256Streams } from './sha256.js';
import { Slabs } from './slabs.js';
import type { Threads } from './task-threads.js';
import { createTaskContext } from './tasks/context.js';
import { runTask } from './tasks/run-task.js';

/**
 * Hashes of this part of what may be done on the calling thread are made there at any time: the few
 * chunks at the seams of segments take some 0.2 ms, and would wait for whole slabs in the threads' queue.
 */
const HASH_HERE_SHARE = 16;

/** The calling thread is not held up by more than this part of its bytes at once. */
const MAX_TASK_SHARE = 4;

/** What a pool is made of. */
export interface PoolParts {
  readonly plan: MemoryPlan;
  readonly memory: WasmMemory | null;
  readonly threads: number;
  readonly kernels: Kernels;
  readonly createSha256: () => Sha256;
  readonly compression: CompressionPolicy;
  readonly inThreadBytes: number;
  /** Makes the threads; none starts before its first task. */
  readonly startThreads: (parts: ThreadParts) => Threads;
}

/** What threads are made for. */
export type ThreadParts = Omit<PoolParts, 'inThreadBytes' | 'startThreads'>;

/**
 * The pool: makes tasks of what it is asked for, borrows their slabs and chooses where they run.
 *
 * A thread takes 50 ms of processor time before its first task, in which the calling thread hashes
 * 50 MB. So the first tasks run on the calling thread while they are few and small; everything after
 * them goes to threads, which are started with it. Once there are threads, everything goes there.
 */
export class ThreadedPool implements WorkerPool {
  readonly slabBytes: number;
  readonly slabCount: number;
  readonly threads: number;
  readonly tier: string;
  readonly sharedMemory: boolean;
  readonly kernels: Kernels;
  readonly createSha256: ComputePool['createSha256'];
  readonly #slabs: Slabs;
  readonly #inThread: Executor<Task, WorkerReply>;
  readonly #inThreadBytes: number;
  #leftBytes: number;
  readonly #threads: Threads;
  #threadsWanted: boolean;
  #closing: Promise<void> | null = null;

  constructor(parts: PoolParts) {
    const { plan, memory, threads, kernels, createSha256, compression } = parts;
    this.slabBytes = plan.slabBytes;
    this.slabCount = plan.slabCount;
    this.threads = threads;
    this.tier = kernels.tier;
    this.kernels = kernels;
    this.sharedMemory = memory !== null;
    this.#slabs = new Slabs({
      slabCount: plan.slabCount,
      sharedMemory: this.sharedMemory,
      create: (index) => {
        if (memory === null) return { offset: -1, bytes: new Uint8Array(plan.slabBytes) };
        const offset = plan.slabBase + index * plan.slabBytes;
        return { offset, bytes: new Uint8Array(memory.buffer, offset, plan.slabBytes) };
      },
    });
    this.#inThread = createInThreadExecutor(() => {
      const { slabBytes } = plan;
      const context = createTaskContext({
        kernels,
        createSha256,
        compression,
        memory,
        slabBytes,
      });
      return (task: Task) => runTask(context, task);
    });
    this.#inThreadBytes = parts.inThreadBytes;
    this.#leftBytes = parts.inThreadBytes;
    this.#threadsWanted = threads > 0 && parts.inThreadBytes === 0;
    this.#threads = parts.startThreads(parts);
    this.createSha256 = createSha256Streams({
      slabs: this.#slabs,
      sharedMemory: this.sharedMemory,
      executor: this.#threads.sha256,
      keepIdle: this.#threads.keepSha256,
    });
  }

  get freeSlabs(): number {
    return this.#slabs.freeCount;
  }

  get waiting(): number {
    return this.#slabs.waitingCount;
  }

  get liveThreads(): number {
    return this.#threads.tasks.threadCount;
  }

  acquire(count: number, signal?: AbortSignal): Promise<Slab[]> {
    return this.#slabs.acquire(count, signal);
  }

  onStarved(listener: () => void): () => void {
    return this.#slabs.onStarved(listener);
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
      here,
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
    const { input, output, runs } = request;
    return this.#run([input, output], ([inputRef, outputRef]) => ({
      kind: 'decode',
      slab: inputRef as SlabRef,
      target: outputRef as SlabRef,
      runs,
    }));
  }

  expectBytes(bytes: number): void {
    // Every byte is looked at by two tasks, and a quarter of what may be done is the most for one.
    if (this.threads === 0 || this.#closing !== null || 4 * bytes <= this.#inThreadBytes) return;
    this.#threadsWanted = true;
    const count = Math.min(this.threads, Math.ceil(bytes / this.slabBytes));
    for (let i = 0; i < count; i++) {
      // Who fails to start fails again, and aloud, with the first task.
      this.#threads.tasks.run({ kind: 'ping' }, []).catch(() => undefined);
    }
  }

  copyOut(bytes: Uint8Array, into: Uint8Array): void {
    copyBytes(this.kernels.codec, bytes, into);
  }

  receiveXorb(body: Pick<Body, 'fill'>): AsyncGenerator<Uint8Array, VerifiedXorb, undefined> {
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
    return receiveXorbInPool(host, body);
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    this.#slabs.close();
    await Promise.all([this.#inThread.close(), this.#threads.close()]);
  }

  /** Borrows the slabs for a task and runs it; `here`: on the calling thread, whatever comes. */
  async #run<T extends Task>(
    slabs: readonly Slab[],
    makeTask: (refs: SlabRef[]) => T,
    here = false,
  ): Promise<ReplyOf<T>> {
    const { outcome } = await this.#slabs.borrow(slabs, (refs, transfer) => {
      const task = makeTask(refs);
      return (here ? this.#inThread : this.#executorFor(task)).run(task, transfer);
    });
    if (outcome.ok) return outcome.reply as ReplyOf<T>;
    if (outcome.code === null) throw new OrbweaverError('INTERNAL', outcome.message);
    throw new OrbweaverError(outcome.code, outcome.message, outcome.fields);
  }

  #executorFor(task: Task): Executor<Task, WorkerReply> {
    if (this.threads === 0) return this.#inThread;
    if (!this.#threadsWanted) {
      const bytes = bytesOf(task);
      if (bytes <= Math.min(this.#leftBytes, this.#inThreadBytes / MAX_TASK_SHARE)) {
        this.#leftBytes -= bytes;
        return this.#inThread;
      }
      this.#threadsWanted = true;
    }
    return this.#threads.tasks;
  }
}
