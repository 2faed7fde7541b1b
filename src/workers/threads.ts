import type { PoolParts } from './compute-pool.js';
import { createInThreadExecutor, type Executor } from './executor.js';
import type {
  Sha256Setup,
  Sha256Task,
  SharedSetup,
  Task,
  WorkerReply,
  WorkerSetup,
} from './messages.js';
import { SHA256_PING } from './sha256.js';
import { createSha256Runner, type Sha256Reply } from './sha256-runner.js';
import { ThreadExecutor } from './thread-executor.js';
import { type WorkerFiles, workerFilesIn } from './worker-files.js';

/** The threads of a pool. None is started, and nothing of them loaded, before the first message. */
export interface Threads {
  readonly tasks: Executor<Task, WorkerReply>;
  /** One thread, in which the states of all streams are; the calling one in a pool without threads. */
  readonly sha256: Executor<Sha256Task, Sha256Reply>;
  /** While true, the thread of SHA-256 does not end although it is idle. */
  readonly keepSha256: (keep: boolean) => void;
  close(): Promise<void>;
}

type ThreadsParts = Pick<
  PoolParts,
  'plan' | 'memory' | 'threads' | 'kernels' | 'compression' | 'idleTimeoutMs' | 'workerFolder'
>;

export function createThreads(parts: ThreadsParts): Threads {
  const { memory, threads, idleTimeoutMs } = parts;
  let found: WorkerFiles | null = null;
  const files = (): WorkerFiles => {
    found ??= workerFilesIn(parts.workerFolder);
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
    const sha256 = createInThreadExecutor(() => createSha256Runner(memory));
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

/** What the threads of a pool are started with, and who tidies up after one of them. */
function taskSetup({ plan, memory, kernels, compression }: ThreadsParts): {
  readonly setup: WorkerSetup;
  readonly onExit: (live: ReadonlySet<number>) => void;
} {
  const { slabBytes, scratchBase, scratchBytes, scratchCount } = plan;
  const owners = new Int32Array(new SharedArrayBuffer(4 * scratchCount));
  const shared: SharedSetup | null =
    memory === null ? null : { memory, slabBytes, scratchBase, scratchBytes, owners };
  const { tier, module } = kernels;
  return {
    setup: { tier, compression, shared, module },
    onExit: (live) => {
      for (let i = 1; i < owners.length; i++) {
        const owner = Atomics.load(owners, i);
        if (owner !== 0 && !live.has(owner)) Atomics.compareExchange(owners, i, owner, 0);
      }
    },
  };
}
