import type { Worker } from 'node:worker_threads';
import type { Piscina } from 'piscina';
import { OrbweaverError } from '../errors.js';
import { Deferred } from '../flow/index.js';
import { closedError, type Executor } from './executor.js';
import type { WorkerFiles } from './worker-files.js';

/**
 * Heap limits of a thread, MiB. Its bytes live outside of the heap; what is inside are messages and
 * the readable twins. The small young generation matters: V8's default lets every idle-looking
 * thread grow by tens of MiB.
 */
const OLD_GENERATION_MIB = 256;
const YOUNG_GENERATION_MIB = 4;

/** An idle thread is kept this long: longer than most gaps inside one transfer. */
export const DEFAULT_IDLE_TIMEOUT_MS = 30_000;

/** Threads that end in a row before they were ready, until what is queued is failed. */
const MAX_FAILED_STARTS = 3;

export interface ThreadExecutorOptions<Message> {
  /** Called when the first thread is wanted. */
  readonly files: () => WorkerFiles;
  /** The compiled program that threads run, and its exported handler. */
  readonly program: string;
  readonly handler: string;
  readonly threads: number;
  /** Structured-cloned into every thread. */
  readonly setup: unknown;
  /** A message without effect. */
  readonly ping: Message;
  /** @default DEFAULT_IDLE_TIMEOUT_MS */
  readonly idleTimeoutMs?: number | undefined;
  /** A thread ended, by itself or not; `live` are the ids of the others. */
  readonly onExit?: (live: ReadonlySet<number>) => void;
}

/** What is known of a thread until it has ended. */
interface ThreadState {
  /** It loaded its program and takes messages. */
  ready: boolean;
  readonly exited: Deferred<void>;
}

/**
 * A piscina whose messages come back or fail with a typed error, whatever happens to its threads.
 *
 * - A message fails only once the thread that had it has ended: piscina reports a failure when it
 *   learns of it, and the thread may write to its memory for a while after that.
 * - A thread that ends because it was idle is no failure. Only threads that never get ready count:
 *   after some in a row nothing that is queued can hope to run.
 * - Piscina does not hand queued messages to a new thread when the last one died: a ping makes it.
 */
export class ThreadExecutor<Message, Reply> implements Executor<Message, Reply> {
  readonly #options: ThreadExecutorOptions<Message>;
  /** Callers that wait for a reply. */
  readonly #waiting = new Set<Deferred<Reply>>();
  readonly #threads = new Map<Worker, ThreadState>();
  #piscina: Piscina | null = null;
  #keepIdle = false;
  #failedStarts = 0;
  #lastError: unknown;
  #closing: Promise<void> | null = null;
  #drained: () => void = () => {};

  constructor(options: ThreadExecutorOptions<Message>) {
    this.#options = options;
  }

  get threadCount(): number {
    return this.#piscina?.threads.length ?? 0;
  }

  async run(message: Message, transferList: ArrayBuffer[] = []): Promise<Reply> {
    if (this.#closing !== null) throw closedError();
    this.#piscina ??= this.#start();
    const piscina = this.#piscina;
    const turn = new Deferred<Reply>();
    this.#waiting.add(turn);
    piscina.run(message, { transferList }).then(turn.resolve, async (cause: unknown) => {
      await this.#ended(piscina);
      const reason = cause instanceof Error ? cause.message : String(cause);
      turn.reject(
        new OrbweaverError('WORKER_FAILED', `a worker thread ended: ${reason}`, {}, cause),
      );
    });
    this.#watch(piscina);
    try {
      return await turn.promise;
    } finally {
      this.#watch(piscina);
      this.#waiting.delete(turn);
      if (this.#waiting.size === 0) this.#drained();
    }
  }

  /** While true, threads stay although they are idle: there is state in them. */
  keepIdle(keep: boolean): void {
    this.#keepIdle = keep;
    // Piscina looks at this option each time that a thread is done with a message.
    if (this.#piscina !== null) this.#piscina.options.idleTimeout = this.#idleTimeoutMs;
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    return this.#closing;
  }

  async #end(): Promise<void> {
    if (this.#waiting.size > 0) {
      await new Promise<void>((resolve) => {
        this.#drained = resolve;
      });
    }
    const piscina = this.#piscina;
    this.#piscina = null;
    await piscina?.destroy();
  }

  get #idleTimeoutMs(): number {
    if (this.#keepIdle) return Number.POSITIVE_INFINITY;
    return this.#options.idleTimeoutMs ?? DEFAULT_IDLE_TIMEOUT_MS;
  }

  #start(): Piscina {
    const { files, program, handler, threads, setup } = this.#options;
    const { path, piscina: library } = files();
    const piscina = new library.Piscina({
      filename: path(program),
      name: handler,
      // Threads start when there is work: a program that only looks at a hash pays for none.
      minThreads: 0,
      maxThreads: threads,
      idleTimeout: this.#idleTimeoutMs,
      // Callers are bounded by slabs, so the queue needs no bound of its own.
      maxQueue: Number.POSITIVE_INFINITY,
      taskQueue: new library.FixedQueue(),
      // One at a time: tasks are synchronous, a second one on the same thread would only wait
      // where another thread could take it.
      concurrentTasksPerWorker: 1,
      // SHA-256 depends on the order; for the rest old work first frees memory first.
      stricterFIFO: true,
      // Idle threads sleep in Atomics.wait: no CPU is burnt, and a task starts some 20 us sooner
      // than through the event loop. Tasks are synchronous, so nothing else wants that loop.
      atomics: 'sync',
      // Piscina's own balancer gives queued messages to threads that still start, and may fail to.
      loadBalancer: (_, workers) =>
        workers.find(({ id, currentUsage }) => currentUsage === 0 && this.#isReady(id)) ?? null,
      recordTiming: false,
      workerHistogram: false,
      niceIncrement: 0,
      closeTimeout: 10_000,
      trackUnmanagedFds: false,
      // Nothing of the parent's flags or environment concerns a thread; flags such as
      // --input-type or --test would even break it.
      execArgv: [],
      argv: [],
      env: {},
      resourceLimits: {
        maxOldGenerationSizeMb: OLD_GENERATION_MIB,
        maxYoungGenerationSizeMb: YOUNG_GENERATION_MIB,
      },
      workerData: setup,
    });
    piscina.on('error', (error: unknown) => {
      this.#lastError = error;
    });
    piscina.on('workerCreate', ({ id }: { readonly id: number }) => {
      this.#watch(piscina);
      for (const [thread, state] of this.#threads) if (thread.threadId === id) state.ready = true;
      this.#failedStarts = 0;
      // What is queued makes piscina start more threads right after this.
      queueMicrotask(() => this.#watch(piscina));
    });
    return piscina;
  }

  #watch(piscina: Piscina): void {
    for (const thread of piscina.threads) {
      if (this.#threads.has(thread)) continue;
      this.#threads.set(thread, { ready: false, exited: new Deferred() });
      thread.once('exit', () => this.#onExit(piscina, thread));
    }
  }

  #isReady(id: number): boolean {
    for (const [thread, state] of this.#threads) if (thread.threadId === id) return state.ready;
    return false;
  }

  /** Resolves when all threads that piscina has given up have really ended. */
  async #ended(piscina: Piscina): Promise<void> {
    const live = new Set(piscina.threads);
    const leaving = [...this.#threads].filter(([thread]) => !live.has(thread));
    await Promise.all(leaving.map(([, { exited }]) => exited.promise));
  }

  #onExit(piscina: Piscina, thread: Worker): void {
    const state = this.#threads.get(thread);
    this.#threads.delete(thread);
    state?.exited.resolve();
    if (state?.ready === false) this.#failedStarts++;
    this.#options.onExit?.(new Set([...this.#threads.keys()].map(({ threadId }) => threadId)));
    this.#revive(piscina);
  }

  /** Sees to it that what is queued runs, or fails, when no thread is left to take it. */
  #revive(piscina: Piscina): void {
    if (piscina !== this.#piscina || this.#threads.size > 0 || piscina.queueSize === 0) return;
    if (this.#failedStarts < MAX_FAILED_STARTS) {
      piscina.run(this.#options.ping).catch(() => undefined);
      this.#watch(piscina);
      return;
    }
    this.#piscina = null;
    const text = `${this.#failedStarts} worker threads in a row ended while they started`;
    this.#failedStarts = 0;
    const error = new OrbweaverError('WORKER_FAILED', text, {}, this.#lastError);
    for (const turn of this.#waiting) turn.reject(error);
    void piscina.destroy();
  }
}
