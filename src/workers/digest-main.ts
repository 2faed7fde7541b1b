import { parentPort, workerData } from 'node:worker_threads';
import { createDigestRunner, type DigestRunner } from '../digests/index.js';
import type { DigestReply, DigestSetup, DigestTask } from './digest-messages.js';
import { failureOf } from './task-failure.js';
import { createThreadKernels } from './thread-kernels.js';

/** The program of a digest thread: takes tasks in the order in which they come. */

void start(workerData as DigestSetup);

async function start({ kernels: wanted }: DigestSetup): Promise<void> {
  const kernels = wanted ? await createThreadKernels() : null;
  const streams = new Map<number, DigestRunner>();

  const run = (task: DigestTask): DigestReply | null => {
    const { stream } = task;
    if (task.kind === 'open') {
      streams.set(stream, createDigestRunner(task.names, kernels));
      return null;
    }
    if (task.kind === 'drop') {
      streams.delete(stream);
      return null;
    }
    const runner = streams.get(stream);
    if (runner === undefined) throw new RangeError(`no digest has the number ${stream}`);
    if (task.kind === 'update') return { stream, ok: true, leaves: runner.update(task.bytes) };
    streams.delete(stream);
    return { stream, ok: true, ...runner.finish() };
  };

  parentPort?.on('message', (task: DigestTask) => {
    try {
      const reply = run(task);
      if (reply !== null) parentPort?.postMessage(reply);
    } catch (error) {
      streams.delete(task.stream);
      const { message } = failureOf(error);
      parentPort?.postMessage({ stream: task.stream, ok: false, message } satisfies DigestReply);
    }
  });
}
