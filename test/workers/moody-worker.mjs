// A worker for tests: does what the message says. Without `threads` shared state it has none.
import { workerData } from 'node:worker_threads';

if (workerData.failAtStart === true) throw new Error('bad start');
if (workerData.exitAtStart === true) process.exit(3);

export function handle(message) {
  if (message === 'exit') process.exit(7);
  if (message === 'throw later') {
    // Out of the task's reach: an uncaught exception ends the thread.
    queueMicrotask(() => {
      throw new Error('uncaught');
    });
    const until = Date.now() + 50;
    while (Date.now() < until);
    return new Promise(() => {});
  }
  if (message === 'heap') {
    const hoard = [];
    for (;;) hoard.push(new Array(1_000_000).fill(1.5));
  }
  return `done ${message}`;
}
