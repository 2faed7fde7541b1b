import { createSha256s } from '../kernels/web.js';
import type { Sha256Task, Task, WorkerReply } from './messages.js';
import { createSha256Runner } from './sha256-runner.js';
import { failureOf } from './task-failure.js';
import { startTasks } from './task-program.js';
import type { FileTask } from './web/file-messages.js';
import { createFileRunner } from './web/file-program.js';
import type { PageThreadReply, PageThreadSetup } from './web/messages.js';

/**
 * The program of a module worker, which the build makes one file, `dist/browser-worker.js`. Its first
 * message says what it is going to be; each one after that is worked on and replied to, in order.
 */

interface WorkerScope {
  postMessage(message: PageThreadReply, transfer: readonly ArrayBufferLike[]): void;
  addEventListener(
    type: 'message',
    listener: (event: { readonly data: unknown }) => void,
    options?: { readonly once: boolean },
  ): void;
}

const scope = globalThis as unknown as WorkerScope;

scope.addEventListener('message', ({ data }) => void start(data as PageThreadSetup), {
  once: true,
});

async function start(first: PageThreadSetup): Promise<void> {
  try {
    const run = await runnerOf(first);
    const send = (reply: Replied): void => {
      const buffers = reply.buffers.map((bytes) => bytes.buffer);
      scope.postMessage({ kind: 'reply', reply }, buffers);
    };
    scope.addEventListener('message', ({ data }) => {
      const reply = run(data);
      // What throws here ends the worker, which its page is told of.
      if (reply instanceof Promise) void reply.then(send);
      else send(reply);
    });
    scope.postMessage({ kind: 'ready' }, []);
  } catch (error) {
    scope.postMessage({ kind: 'failed', failure: failureOf(error) }, []);
  }
}

type Replied = Pick<WorkerReply, 'buffers'>;

async function runnerOf(
  first: PageThreadSetup,
): Promise<(message: unknown) => Replied | Promise<Replied>> {
  if (first.program === 'files') {
    const run = createFileRunner();
    return (message) => run(message as FileTask);
  }
  const createSha256 = await createSha256s();
  if (first.program === 'sha256') {
    const run = createSha256Runner(first.setup.memory, createSha256);
    return (message) => run(message as Sha256Task);
  }
  const run = await startTasks(first.setup, { threadId: first.id, createSha256 });
  return (message) => run(message as Task);
}
