import { workerData } from 'node:worker_threads';
import type { Sha256Setup, Sha256Task } from './messages.js';
import { createSha256Runner, type Sha256Answer } from './sha256-runner.js';

/** The program of the SHA-256 thread, built like that of the workers; started by the pool only. */

/** The handler that piscina calls. */
export const handleSha256: Promise<(task: Sha256Task) => unknown> = start(
  workerData as Sha256Setup,
);

async function start({ memory }: Sha256Setup): Promise<(task: Sha256Task) => unknown> {
  const run = createSha256Runner(memory);
  if (memory !== null) return run;
  const piscina = await import('piscina');
  // A buffer that came with the task goes back with the answer.
  return (task) => {
    const answer: Sha256Answer = run(task);
    if (task.kind !== 'update' || typeof task.slab === 'number') return answer;
    const bytes = task.slab;
    return piscina.move({
      get [piscina.transferableSymbol]() {
        return [bytes.buffer];
      },
      get [piscina.valueSymbol]() {
        return { ...answer, buffers: [bytes] };
      },
    });
  };
}
