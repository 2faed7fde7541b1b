import { threadId, workerData } from 'node:worker_threads';
import { createSha256 } from '../kernels/index.js';
import type { Task, WorkerSetup } from './messages.js';
import { startTasks } from './task-program.js';
import { createHandler } from './thread-program.js';

/**
 * The program of a worker, which the build makes one CommonJS file: a thread that never loads a
 * module of the other kind is there in half the time. It is started by the pool only and exports no
 * API.
 */

/**
 * The handler that piscina calls, once this thread's kernels are made: piscina waits for it before it
 * says that the worker is ready.
 */
export const handleTask: Promise<(task: Task) => unknown> = start(workerData as WorkerSetup);

async function start(setup: WorkerSetup): Promise<(task: Task) => unknown> {
  return createHandler(await startTasks(setup, { threadId, createSha256 }), setup.shared !== null);
}
