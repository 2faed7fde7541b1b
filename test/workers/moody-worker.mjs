// A thread for tests: does what the message says.
import { openSync, readSync } from 'node:fs';
import { workerData } from 'node:worker_threads';

// `starts` counts in shared memory; from the number `goodStarts` on they fail, or the one whose number stands behind
// the count.
if (workerData.starts !== undefined) {
  const before = Atomics.add(workerData.starts, 0, 1);
  if (before >= workerData.goodStarts) throw new Error('bad start');
  if (workerData.starts.length > 1 && before === Atomics.load(workerData.starts, 1)) {
    throw new Error('bad start');
  }
}

if (workerData.failAtStart === true) throw new Error('bad start');
if (workerData.exitAtStart === true) process.exit(3);

export function handle(message) {
  if (message === 'exit') process.exit(7);
  // Until three threads have started.
  while (message === 'meet' && Atomics.load(workerData.starts, 0) < 3) {
    Atomics.wait(workerData.starts, 0, 2, 5);
  }
  if (message.startsWith('read ')) {
    // Nothing ends a thread that the system holds in a call.
    const file = openSync(message.slice(5), 'r');
    readSync(file, new Uint8Array(1));
  }
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
