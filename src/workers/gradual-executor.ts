import type { TaskExecutor } from './executor.js';
import type { Task, WorkerAnswer } from './messages.js';

/** The calling thread is not held up by more than this part of its bytes at once. */
const MAX_TASK_SHARE = 4;

/** What a {@link GradualExecutor} is made of. */
export interface GradualParts {
  /** Runs tasks on the calling thread. */
  readonly inThread: TaskExecutor;
  /** Bytes of tasks that run there before threads are started; 0: none. */
  readonly inThreadBytes: number;
  /** Loads what starts threads, and returns it. Called once. */
  readonly loadThreads: () => Promise<ThreadedExecutor>;
}

/** An executor with threads. */
export interface ThreadedExecutor extends TaskExecutor {
  /** Threads that exist now. */
  readonly threadCount: number;
}

/**
 * Threads when there is work for them: a thread takes 50 ms of processor time before its first task,
 * in which the calling thread hashes 50 MB. So the first tasks run on the calling thread while they are
 * few and small; everything after them goes to threads, which are started with it. Once there are
 * threads, everything goes there.
 */
export class GradualExecutor implements TaskExecutor {
  readonly #parts: GradualParts;
  #leftBytes: number;
  /** Set when the first thing was asked of threads. */
  #loading: Promise<ThreadedExecutor> | null = null;
  #threads: ThreadedExecutor | null = null;
  #closed = false;

  constructor(parts: GradualParts) {
    this.#parts = parts;
    this.#leftBytes = parts.inThreadBytes;
  }

  /** Threads that exist now. */
  get threadCount(): number {
    return this.#threads?.threadCount ?? 0;
  }

  run(task: Task, transfer: ArrayBuffer[]): Promise<WorkerAnswer> {
    const { inThread, inThreadBytes } = this.#parts;
    // After the end it is this one that refuses.
    if (this.#closed && this.#loading === null) return inThread.run(task, transfer);
    if (this.#loading === null) {
      const bytes = bytesOf(task);
      if (bytes <= Math.min(this.#leftBytes, inThreadBytes / MAX_TASK_SHARE)) {
        this.#leftBytes -= bytes;
        return inThread.run(task, transfer);
      }
    }
    if (this.#threads !== null) return this.#threads.run(task, transfer);
    // Whoever waits for the same promise goes on in the order of asking.
    return this.#load().then((threads) => threads.run(task, transfer));
  }

  /** Starts `count` threads now; who fails to start fails again, and aloud, with the first task. */
  start(count: number): void {
    if (this.#closed) return;
    for (let i = 0; i < count; i++) {
      void this.#load()
        .then((threads) => threads.run({ kind: 'ping' }, []))
        .catch(() => undefined);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#parts.inThread.close();
    if (this.#loading !== null) await (await this.#loading).close();
  }

  #load(): Promise<ThreadedExecutor> {
    this.#loading ??= this.#parts.loadThreads().then((threads) => {
      this.#threads = threads;
      return threads;
    });
    return this.#loading;
  }
}

/** Bytes that a task looks at. */
function bytesOf(task: Task): number {
  switch (task.kind) {
    case 'ping':
      return 0;
    case 'chunk':
      return task.segments.reduce((sum, { start, end }) => sum + end - start, 0);
    case 'decode':
      return runsBytes(task.runs);
    case 'verify':
      return task.end - task.start;
    default:
      return task.lengths.reduce((sum, length) => sum + length, 0);
  }
}

function runsBytes(runs: Uint32Array): number {
  let bytes = 0;
  for (let at = 0; at < runs.length; at += 4) {
    bytes += (runs[at + 1] as number) - (runs[at] as number);
  }
  return bytes;
}
