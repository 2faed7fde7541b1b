import { threadId, workerData } from 'node:worker_threads';
import { OrbweaverError } from '../errors.js';
import type { SharedSetup, Task, WorkerAnswer, WorkerSetup } from './messages.js';
import { createTaskContext } from './tasks/context.js';
import { runTask, slabsOf } from './tasks/run-task.js';
import { createThreadKernels } from './thread-kernels.js';

/**
 * The module that workers load. Its top level makes the thread's kernels, so that a worker that
 * says it is ready is ready. It is started by the pool only and exports no API.
 */

/** How long a worker waits for the scratch space of one that is still ending. */
const CLAIM_TIMEOUT_MS = 5_000;

const setup = workerData as WorkerSetup;
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
  scratchBase,
});
const piscina = shared === null ? await import('piscina') : null;

/** The handler that piscina calls. Buffers that came with the task go back with the answer. */
export function handleTask(task: Task): unknown {
  const outcome = runTask(context, task);
  if (piscina === null) return { outcome, buffers: [] } satisfies WorkerAnswer;
  const buffers = slabsOf(task).filter((slab) => typeof slab !== 'number');
  const answer: WorkerAnswer = { outcome, buffers };
  return piscina.move({
    get [piscina.transferableSymbol]() {
      return buffers.map((bytes) => bytes.buffer);
    },
    get [piscina.valueSymbol]() {
      return answer;
    },
  });
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
