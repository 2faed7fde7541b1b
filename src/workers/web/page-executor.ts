import { OrbweaverError } from '../../errors.js';
import { type Clock, Deferred } from '../../flow/index.js';
import { closedError, type Executor } from '../executor.js';
import type { PageThreadReply, PageThreadSetup } from './messages.js';
import type { PageThread, SpawnPageThread } from './page-thread.js';

/** An idle thread is kept this long: longer than most gaps inside one transfer. */
const DEFAULT_IDLE_TIMEOUT_MS = 30_000;

/** A page that is offline cannot load the program of a thread: this long it waits to be online again. */
const OFFLINE_WAIT_MS = 30_000;

/** Threads that end in a row before they were ready, until what is queued is failed. */
const MAX_FAILED_STARTS = 3;

export interface PageExecutorOptions {
  readonly spawn: SpawnPageThread;
  /** What a thread is told first. */
  readonly setup: (id: number) => PageThreadSetup;
  readonly threads: number;
  readonly clock: Clock;
  /** Ms. @default 30000 */
  readonly idleTimeoutMs?: number | undefined;
  /** A thread ended, by itself or not; `live` are the ids of the others. */
  readonly onExit?: (live: ReadonlySet<number>) => void;
}

interface Job<Reply> {
  readonly message: unknown;
  readonly transfer: readonly ArrayBuffer[];
  readonly turn: Deferred<Reply>;
}

interface Live<Reply> {
  readonly id: number;
  readonly thread: PageThread;
  ready: boolean;
  job: Job<Reply> | null;
  stopIdle: () => void;
}

/**
 * Messages in the threads of a page, as `ThreadExecutor` has them in Node: one at a time in each thread,
 * the oldest first, in threads that start with work and end when there was none for a while. A thread
 * that fails takes the message that it had with it, and nothing else; after some that never got ready,
 * what is queued fails as well.
 */
export class PageExecutor<Message, Reply> implements Executor<Message, Reply> {
  readonly #options: PageExecutorOptions;
  readonly #live = new Map<number, Live<Reply>>();
  readonly #queue: Job<Reply>[] = [];
  #lastId = 0;
  #failedStarts = 0;
  #keepIdle = false;
  /** Nothing is started now; calling it ends that. */
  #endWaiting: (() => void) | null = null;
  #closing: Promise<void> | null = null;
  readonly #drained = new Deferred<void>();

  constructor(options: PageExecutorOptions) {
    this.#options = options;
  }

  get threadCount(): number {
    return this.#live.size;
  }

  run(message: Message, transfer: ArrayBuffer[]): Promise<Reply> {
    if (this.#closing !== null) return Promise.reject(closedError());
    const job = { message, transfer, turn: new Deferred<Reply>() };
    this.#queue.push(job);
    this.#serve();
    return job.turn.promise;
  }

  /** While true, threads stay although they are idle: there is state in them. */
  keepIdle(keep: boolean): void {
    this.#keepIdle = keep;
    for (const live of this.#live.values()) if (live.ready && live.job === null) this.#idle(live);
  }

  close(): Promise<void> {
    this.#closing ??= this.#end();
    this.#endWaiting?.();
    return this.#closing;
  }

  async #end(): Promise<void> {
    if (this.#isBusy()) await this.#drained.promise;
    for (const live of [...this.#live.values()]) this.#drop(live);
  }

  #isBusy(): boolean {
    return this.#queue.length > 0 || [...this.#live.values()].some(({ job }) => job !== null);
  }

  /** Hands out what is queued, and starts a thread for what nobody is there for. */
  #serve(): void {
    let starting = 0;
    for (const live of this.#live.values()) {
      if (!live.ready) starting++;
      else if (live.job === null) this.#give(live);
    }
    const mayStart = this.#endWaiting === null;
    while (mayStart && starting < this.#queue.length && this.#live.size < this.#options.threads) {
      if (!this.#start()) return;
      starting++;
    }
    if (this.#closing !== null && !this.#isBusy()) this.#drained.resolve();
  }

  #give(live: Live<Reply>): void {
    const job = this.#queue.shift();
    if (job === undefined) {
      this.#idle(live);
      return;
    }
    live.stopIdle();
    live.job = job;
    try {
      live.thread.post(job.message, job.transfer);
    } catch (error) {
      // A message that cannot be sent (a buffer that is away already) is the fault of its sender.
      live.job = null;
      job.turn.reject(error);
      this.#give(live);
    }
  }

  #idle(live: Live<Reply>): void {
    live.stopIdle();
    live.stopIdle = () => {};
    if (this.#keepIdle) return;
    const { clock, idleTimeoutMs = DEFAULT_IDLE_TIMEOUT_MS } = this.#options;
    live.stopIdle = clock.setTimer(idleTimeoutMs, () => this.#drop(live), { background: true });
  }

  #start(): boolean {
    const { spawn, setup } = this.#options;
    const id = ++this.#lastId;
    try {
      const thread = spawn({
        onMessage: (message) => this.#onReply(id, message as PageThreadReply),
        onError: (error) => this.#onError(id, error),
      });
      this.#live.set(id, { id, thread, ready: false, job: null, stopIdle: () => {} });
      thread.post(setup(id), []);
      return true;
    } catch (error) {
      this.#live.delete(id);
      this.#failQueued(error);
      return false;
    }
  }

  #onReply(id: number, reply: PageThreadReply): void {
    const live = this.#live.get(id);
    if (live === undefined) return;
    if (reply.kind === 'failed') {
      const { code, message, fields } = reply.failure;
      live.thread.terminate();
      this.#onError(id, new OrbweaverError(code ?? 'WORKER_FAILED', message, fields));
      return;
    }
    if (reply.kind === 'ready') {
      live.ready = true;
      this.#failedStarts = 0;
    } else {
      const { job } = live;
      live.job = null;
      job?.turn.resolve(reply.reply as Reply);
    }
    this.#serve();
  }

  #onError(id: number, error: OrbweaverError): void {
    const live = this.#live.get(id);
    if (live === undefined) return;
    live.stopIdle();
    this.#live.delete(id);
    this.#told();
    live.job?.turn.reject(error);
    // Those that were started together fail together, which counts once.
    if (!live.ready && this.#endWaiting === null) {
      if (++this.#failedStarts >= MAX_FAILED_STARTS) this.#failQueued(error);
      else if (isOffline() && this.#closing === null) this.#waitOnline();
    }
    this.#serve();
  }

  #waitOnline(): void {
    if (this.#endWaiting !== null) return;
    const end = (): void => {
      stopTimer();
      page.removeEventListener?.('online', end);
      this.#endWaiting = null;
      this.#serve();
    };
    const stopTimer = this.#options.clock.setTimer(OFFLINE_WAIT_MS, end, { background: true });
    page.addEventListener?.('online', end);
    this.#endWaiting = end;
  }

  #failQueued(error: unknown): void {
    this.#failedStarts = 0;
    for (const { turn } of this.#queue.splice(0)) turn.reject(error);
  }

  #drop(live: Live<Reply>): void {
    live.stopIdle();
    live.thread.terminate();
    this.#live.delete(live.id);
    this.#told();
  }

  #told(): void {
    this.#options.onExit?.(new Set(this.#live.keys()));
  }
}

/** The part of a page that is used. */
const page = globalThis as {
  readonly navigator?: { readonly onLine?: boolean };
  readonly addEventListener?: (type: 'online', listener: () => void) => void;
  readonly removeEventListener?: (type: 'online', listener: () => void) => void;
};

function isOffline(): boolean {
  return page.navigator?.onLine === false;
}
