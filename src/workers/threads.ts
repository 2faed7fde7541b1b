import type { ThreadParts } from './compute-pool.js';
import { createInThreadExecutor } from './executor.js';
import type { Sha256Setup, Sha256Task, Task, WorkerReply } from './messages.js';
import { SHA256_PING } from './sha256.js';
import { createSha256Runner, type Sha256Reply } from './sha256-runner.js';
import { type Threads, taskSetup } from './task-threads.js';
import { ThreadExecutor } from './thread-executor.js';
import { type WorkerFiles, workerFilesIn } from './worker-files.js';

/** Where the programs of threads are, and how long an idle one is kept. */
export interface ThreadsOptions {
  readonly idleTimeoutMs: number | undefined;
  readonly workerFolder: string;
}

/** Threads by piscina. */
export function createThreads(
  parts: ThreadParts,
  { idleTimeoutMs, workerFolder }: ThreadsOptions,
): Threads {
  const { memory, threads, createSha256 } = parts;
  let found: WorkerFiles | null = null;
  const files = (): WorkerFiles => {
    found ??= workerFilesIn(workerFolder);
    return found;
  };
  const { setup, onExit } = taskSetup(parts);
  const tasks = new ThreadExecutor<Task, WorkerReply>({
    files,
    program: 'worker-main',
    handler: 'handleTask',
    threads: Math.max(1, threads),
    setup,
    ping: { kind: 'ping' },
    idleTimeoutMs,
    onExit,
  });
  if (threads === 0) {
    const sha256 = createInThreadExecutor(() => createSha256Runner(memory, createSha256));
    return { tasks, sha256, keepSha256: () => {}, close: () => sha256.close() };
  }
  const sha256 = new ThreadExecutor<Sha256Task, Sha256Reply>({
    files,
    program: 'sha256-main',
    handler: 'handleSha256',
    threads: 1,
    setup: { memory } satisfies Sha256Setup,
    ping: SHA256_PING,
    idleTimeoutMs,
  });
  return {
    tasks,
    sha256,
    keepSha256: (keep) => sha256.keepIdle(keep),
    close: async () => {
      await Promise.all([tasks.close(), sha256.close()]);
    },
  };
}
