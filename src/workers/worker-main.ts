import { threadId, workerData } from 'node:worker_threads';
import { OrbweaverError } from '../errors.js';
import type { SharedSetup, Task, WorkerSetup } from './messages.js';
import { createTaskContext } from './tasks/context.js';
import { runTask } from './tasks/run-task.js';
import { createThreadKernels } from './thread-kernels.js';
import { createHandler } from './thread-program.js';

/**
 * The program of a worker, which the build makes one CommonJS file: a thread that never loads a
 * module of the other kind is there in half the time. It is started by the pool only and exports no
 * API.
 */

/** How long a worker waits for the scratch space of one that is still ending. */
const CLAIM_TIMEOUT_MS = 5_000;

/**
 * The handler that piscina calls, once this thread's kernels are made: piscina waits for it before it
 * says that the worker is ready.
 */
export const handleTask: Promise<(task: Task) => unknown> = start(workerData as WorkerSetup);

async function start(setup: WorkerSetup): Promise<(task: Task) => unknown> {
  const { shared } = setup;
  const scratchBase = shared === null ? undefined : claimScratch(shared);
  const context = createTaskContext({
    kernels: await createThreadKernels({
      tier: setup.tier,
      memory: shared?.memory,
      scratchBase,
      module: setup.module ?? undefined,
    }),
    compression: setup.compression,
    memory: shared?.memory ?? null,
    slabBytes: shared?.slabBytes ?? 0,
  });
  return createHandler((task: Task) => runTask(context, task), shared !== null);
}

/**
 * Takes a free scratch space. The pool frees the one of a thread that ended; there is one more
 * than there are threads, so waiting is for the rare case that several end at once.
 */
function claimScratch(memory: SharedSetup): number {
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
