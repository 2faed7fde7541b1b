import { fileURLToPath } from 'node:url';
import type { Worker } from 'node:worker_threads';
import { FixedQueue, Piscina } from 'piscina';
import { OrbweaverError } from '../errors.js';

/**
 * Heap limits of a worker, MiB. Its bytes live outside of the heap; what is inside are messages and
 * the readable twins. The small young generation matters: V8's default lets every idle-looking
 * worker grow by tens of MiB.
 */
const OLD_GENERATION_MIB = 256;
const YOUNG_GENERATION_MIB = 4;

/** An idle worker is kept this long: longer than any gap inside one transfer. */
const IDLE_TIMEOUT_MS = 30_000;

/** Workers that die in a row without having finished a task, before everything queued is failed. */
const MAX_DEATHS_IN_A_ROW = 3;

export interface ThreadExecutorOptions {
  /** The compiled module that workers load, and its exported handler. */
  readonly module: URL;
  readonly handler: string;
  readonly threads: number;
  /** Structured-cloned into every worker. */
  readonly setup: unknown;
  /** A worker ended, by itself or not; `live` are the ids of the others. */
  readonly onExit?: (live: ReadonlySet<number>) => void;
}

/**
 * A piscina whose tasks either come back or fail with a typed error, whatever happens to its
 * threads. Piscina itself does not hand queued tasks to a new worker when the last one died, and
 * gives up on workers that die while they start; here the first is cured by a ping, the second by
 * a fresh piscina after everything queued was failed.
 */
export class ThreadExecutor<Message, Answer> {
  readonly #options: ThreadExecutorOptions;
  readonly #ping: Message;
  /** Callers that wait for an answer. */
  readonly #waiting = new Set<(error: OrbweaverError) => void>();
  readonly #hooked = new WeakSet<Worker>();
  #piscina: Piscina | null = null;
  #deaths = 0;
  #lastError: unknown;
  #closing: Promise<void> | null = null;
  #drained: () => void = () => {};

  constructor(options: ThreadExecutorOptions, ping: Message) {
    this.#options = options;
    this.#ping = ping;
  }

  /** Threads that exist now. */
  get threadCount(): number {
    return this.#piscina?.threads.length ?? 0;
  }

  /** @throws OrbweaverError `WORKER_FAILED`, `CLOSED` */
  run(message: Message, transferList: ArrayBuffer[] = []): Promise<Answer> {
    if (this.#closing !== null) {
      const text = '"pool" expected an open one, got a closed one';
      return Promise.reject(new OrbweaverError('CLOSED', text));
    }
    this.#piscina ??= this.#start();
    const running: Promise<Answer> = this.#piscina.run(message, { transferList });
    return new Promise<Answer>((resolve, reject) => {
      const fail = (error: OrbweaverError): void => {
        this.#forget(fail);
        reject(error);
      };
      this.#waiting.add(fail);
      running.then(
        (answer) => {
          this.#deaths = 0;
          this.#forget(fail);
          resolve(answer);
        },
        (cause: unknown) => {
          const reason = cause instanceof Error ? cause.message : String(cause);
          fail(new OrbweaverError('WORKER_FAILED', `a worker thread ended: ${reason}`, {}, cause));
        },
      );
    });
  }

  #forget(fail: (error: OrbweaverError) => void): void {
    if (this.#waiting.delete(fail) && this.#waiting.size === 0) this.#drained();
  }

  /** Waits for running tasks, then ends all threads. Safe to call twice. */
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

  #start(): Piscina {
    const { module, handler, threads, setup } = this.#options;
    this.#deaths = 0;
    const piscina = new Piscina({
      filename: fileURLToPath(module),
      name: handler,
      // Threads start when there is work: a program that only looks at a hash pays for none.
      minThreads: 0,
      maxThreads: threads,
      idleTimeout: IDLE_TIMEOUT_MS,
      // Callers are bounded by slabs, so the queue needs no bound of its own.
      maxQueue: Number.POSITIVE_INFINITY,
      taskQueue: new FixedQueue(),
      // One at a time: tasks are synchronous, a second one on the same worker would only wait
      // where another worker could take it.
      concurrentTasksPerWorker: 1,
      // SHA-256 depends on the order; for the rest old work first frees memory first.
      stricterFIFO: true,
      // Idle workers sleep in Atomics.wait: no CPU is burnt, and a task starts some 20 us sooner
      // than through the event loop. Tasks are synchronous, so nothing else wants that loop.
      atomics: 'sync',
      recordTiming: false,
      workerHistogram: false,
      niceIncrement: 0,
      closeTimeout: 10_000,
      trackUnmanagedFds: false,
      // Nothing of the parent's flags or environment concerns a worker; flags such as
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
    piscina.on('workerCreate', () => this.#hook(piscina));
    piscina.on('workerDestroy', () => {
      this.#hook(piscina);
      this.#deaths++;
      setImmediate(() => this.#revive(piscina));
    });
    return piscina;
  }

  #hook(piscina: Piscina): void {
    for (const thread of piscina.threads) {
      if (this.#hooked.has(thread)) continue;
      this.#hooked.add(thread);
      thread.once('exit', () => {
        // A thread that ended has the id -1.
        const live = new Set(piscina.threads.map((other) => other.threadId));
        this.#options.onExit?.(live);
      });
    }
  }

  /** A worker is gone: see to it that what is queued runs, or fails. */
  #revive(piscina: Piscina): void {
    if (piscina !== this.#piscina || piscina.queueSize === 0) return;
    if (this.#deaths < MAX_DEATHS_IN_A_ROW) {
      if (piscina.threads.length === 0) piscina.run(this.#ping).catch(() => undefined);
      return;
    }
    this.#piscina = null;
    const text = `${this.#deaths} worker threads in a row ended before a task was done`;
    const error = new OrbweaverError('WORKER_FAILED', text, {}, this.#lastError);
    for (const fail of [...this.#waiting]) fail(error);
    void piscina.destroy();
  }
}
