import { OrbweaverError } from '../errors.js';
import type { Sha256 } from '../kernels/index.js';
import type { SharedSetup, Task, WorkerReply, WorkerSetup } from './messages.js';
import { createTaskContext } from './tasks/context.js';
import { runTask } from './tasks/run-task.js';
import { createThreadKernels } from './thread-kernels.js';

/** How long a worker waits for the scratch space of one that is still ending. */
const CLAIM_TIMEOUT_MS = 5_000;

/** What a thread does with tasks, once its kernels are made. `threadId` is its own among those of the pool. */
export async function startTasks(
  setup: WorkerSetup,
  { threadId, createSha256 }: { readonly threadId: number; readonly createSha256: () => Sha256 },
): Promise<(task: Task) => WorkerReply> {
  const { shared } = setup;
  const scratchBase = shared === null ? undefined : claimScratch(shared, threadId);
  const context = createTaskContext({
    kernels: await createThreadKernels({
      tier: setup.tier,
      memory: shared?.memory,
      scratchBase,
      module: setup.module ?? undefined,
    }),
    createSha256,
    compression: setup.compression,
    memory: shared?.memory ?? null,
    slabBytes: shared?.slabBytes ?? 0,
  });
  return (task) => runTask(context, task);
}

/**
 * Takes a free scratch space. The pool frees the one of a thread that ended; there is one more
 * than there are threads, so waiting is for the rare case that several end at once.
 */
function claimScratch(memory: SharedSetup, threadId: number): number {
  const { owners, scratchBase, scratchBytes } = memory;
  const waker = new Int32Array(new SharedArrayBuffer(4));
  for (let waitedMs = 0; waitedMs < CLAIM_TIMEOUT_MS; waitedMs += 10) {
    // Entry 0 belongs to the thread that owns the pool.
    for (let i = 1; i < owners.length; i++) {
      if (Atomics.compareExchange(owners, i, 0, threadId) === 0) {
        return scratchBase + i * scratchBytes;
      }
    }
    Atomics.wait(waker, 0, 0, 10);
  }
  throw new OrbweaverError('WORKER_FAILED', 'no scratch memory became free for a worker');
}
