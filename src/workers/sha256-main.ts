import { workerData } from 'node:worker_threads';
import type { Sha256Setup, Sha256Task } from './messages.js';
import { createSha256Runner, type Sha256Answer } from './sha256-runner.js';

/** The module that the SHA-256 thread loads; it is started by the pool only. */

const { memory } = workerData as Sha256Setup;
const run = createSha256Runner(memory);
const piscina = memory === null ? await import('piscina') : null;

/** The handler that piscina calls. A buffer that came with the task goes back with the answer. */
export function handleSha256(task: Sha256Task): unknown {
  const answer: Sha256Answer = run(task);
  if (piscina === null || task.kind !== 'update' || typeof task.slab === 'number') return answer;
  const bytes = task.slab;
  return piscina.move({
    get [piscina.transferableSymbol]() {
      return [bytes.buffer];
    },
    get [piscina.valueSymbol]() {
      return { ...answer, buffers: [bytes] };
    },
  });
}
