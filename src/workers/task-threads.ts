import type { ThreadParts } from './compute-pool.js';
import type { Executor } from './executor.js';
import type { Sha256Task, SharedSetup, Task, WorkerReply, WorkerSetup } from './messages.js';
import type { Sha256Reply } from './sha256-runner.js';

/** The threads of a pool. None is started, and nothing of them loaded, before the first message. */
export interface Threads {
  readonly tasks: Executor<Task, WorkerReply>;
  /** One thread, in which the states of all streams are; the calling one in a pool without threads. */
  readonly sha256: Executor<Sha256Task, Sha256Reply>;
  /** While true, the thread of SHA-256 does not end although it is idle. */
  readonly keepSha256: (keep: boolean) => void;
  close(): Promise<void>;
}

/** What the threads of a pool are started with, and who tidies up after one of them. */
export function taskSetup({ plan, memory, kernels, compression }: ThreadParts): {
  readonly setup: WorkerSetup;
  readonly onExit: (live: ReadonlySet<number>) => void;
} {
  const { slabBytes, scratchBase, scratchBytes, scratchCount } = plan;
  const { tier, module } = kernels;
  if (memory === null) {
    return { setup: { tier, compression, shared: null, module }, onExit: () => {} };
  }
  const owners = new Int32Array(new SharedArrayBuffer(4 * scratchCount));
  const shared: SharedSetup = { memory, slabBytes, scratchBase, scratchBytes, owners };
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
