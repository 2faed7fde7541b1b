import { workerData } from 'node:worker_threads';
import { createSha256 } from '../kernels/index.js';
import type { Sha256Setup, Sha256Task } from './messages.js';
import { createSha256Runner } from './sha256-runner.js';
import { createHandler } from './thread-program.js';

/** The program of the SHA-256 thread, built like that of the workers; started by the pool only. */

const { memory } = workerData as Sha256Setup;

/** The handler that piscina calls. */
export const handleSha256: Promise<(task: Sha256Task) => unknown> = createHandler(
  createSha256Runner(memory, createSha256),
  memory !== null,
);
