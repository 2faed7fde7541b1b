import { SYSTEM_CLOCK } from '../../platform/index.js';
import type { ThreadParts } from '../compute-pool.js';
import { createInThreadExecutor } from '../executor.js';
import type { Sha256Task, Task, WorkerReply } from '../messages.js';
import { createSha256Runner, type Sha256Reply } from '../sha256-runner.js';
import { type Threads, taskSetup } from '../task-threads.js';
import { PageExecutor } from './page-executor.js';
import type { SpawnPageThread } from './page-thread.js';

export interface PageThreadsOptions {
  readonly spawn: SpawnPageThread;
  readonly idleTimeoutMs: number | undefined;
}

/** Threads by workers of a page. */
export function createPageThreads(
  parts: ThreadParts,
  { spawn, idleTimeoutMs }: PageThreadsOptions,
): Threads {
  const { memory, threads, createSha256 } = parts;
  const { setup, onExit } = taskSetup(parts);
  const shared = { spawn, clock: SYSTEM_CLOCK, idleTimeoutMs };
  const tasks = new PageExecutor<Task, WorkerReply>({
    ...shared,
    threads: Math.max(1, threads),
    setup: (id) => ({ program: 'tasks', id, setup }),
    onExit,
  });
  if (threads === 0) {
    const sha256 = createInThreadExecutor(() => createSha256Runner(memory, createSha256));
    return { tasks, sha256, keepSha256: () => {}, close: () => sha256.close() };
  }
  const sha256 = new PageExecutor<Sha256Task, Sha256Reply>({
    ...shared,
    threads: 1,
    setup: (id) => ({ program: 'sha256', id, setup: { memory } }),
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
