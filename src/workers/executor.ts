import { OrbweaverError } from '../errors.js';
import type { Task, TaskOutcome, WorkerAnswer } from './messages.js';
import type { TaskContext } from './tasks/context.js';
import { runTask, slabsOf } from './tasks/run-task.js';

/** Where tasks run. Both kinds give the same answers for the same tasks. */
export interface TaskExecutor {
  /** @throws OrbweaverError `WORKER_FAILED` when the thread died, `CLOSED` after {@link close} */
  run(task: Task, transfer: ArrayBuffer[]): Promise<WorkerAnswer>;
  /** Waits for running tasks. */
  close(): Promise<void>;
}

/**
 * Runs tasks on the calling thread, one per turn of the event loop: a whole slab takes
 * milliseconds, and I/O, timers and cancellations must get their turn in between. `makeContext` is
 * called with the first task.
 */
export function createInThreadExecutor(makeContext: () => TaskContext): TaskExecutor {
  let context: TaskContext | null = null;
  let closed = false;
  let last: Promise<unknown> = Promise.resolve();
  return {
    run(task) {
      const answer = last.then(nextTurn).then((): WorkerAnswer => {
        if (closed) throw new OrbweaverError('CLOSED', '"pool" expected an open one, got a closed');
        const buffers = slabsOf(task).filter((slab) => typeof slab !== 'number');
        context ??= makeContext();
        return { outcome: runTask(context, task), buffers };
      });
      last = answer.catch(() => undefined);
      return answer;
    },
    async close() {
      closed = true;
      await last;
    },
  };
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** The reply of a successful outcome. @throws the error of a failed one, rebuilt */
export function replyOf(outcome: TaskOutcome): Extract<TaskOutcome, { ok: true }>['reply'] {
  if (outcome.ok) return outcome.reply;
  if (outcome.code !== null) {
    throw new OrbweaverError(outcome.code, outcome.message, outcome.fields);
  }
  throw new OrbweaverError('INTERNAL', `a task failed: ${outcome.message}`);
}
