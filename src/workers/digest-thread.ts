import { Worker } from 'node:worker_threads';
import {
  type ByteDigestName,
  type ByteDigests,
  createDigestRunner,
  type DigestRunner,
  type LeafHashes,
} from '../digests/index.js';
import { OrbweaverError } from '../errors.js';
import { Deferred } from '../flow/index.js';
import type { DigestReply, DigestSetup, DigestTask } from './digest-messages.js';
import { createThreadKernels } from './thread-kernels.js';

/** Some digests of one file, on a thread or not. */
export interface DigestLane {
  /** The bytes must stay as they are until the promise has settled. Calls count in their order. */
  update(bytes: Uint8Array): Promise<LeafHashes>;
  finish(): Promise<{ readonly digests: ByteDigests; readonly leaves: LeafHashes }>;
  drop(): void;
}

/** The same on the calling thread. */
export function inPlaceLane(names: readonly ByteDigestName[]): DigestLane {
  const opening: Promise<DigestRunner> = names.includes('fileHash')
    ? createThreadKernels().then((kernels) => createDigestRunner(names, kernels))
    : Promise.resolve(createDigestRunner(names, null));
  opening.catch(() => undefined);
  return {
    update: async (bytes) => (await opening).update(bytes),
    finish: async () => (await opening).finish(),
    drop: () => undefined,
  };
}

/** A thread that computes digests of any number of files. */
export interface DigestThread {
  open(names: readonly ByteDigestName[]): DigestLane;
  close(): Promise<void>;
}

type Reply = Extract<DigestReply, { ok: true }>;

/** @param setup what it is going to compute */
export function startDigestThread(setup: DigestSetup): DigestThread {
  const worker = new Worker(new URL('./digest-main.cjs', import.meta.url), { workerData: setup });
  /** Who waits for the replies of each stream, in order. */
  const waiting = new Map<number, Deferred<Reply>[]>();
  let death: OrbweaverError | null = null;
  let nextStream = 0;

  const end = (reason: OrbweaverError): void => {
    death ??= reason;
    for (const queue of waiting.values()) for (const deferred of queue) deferred.reject(death);
    waiting.clear();
  };
  worker.on('message', (reply: DigestReply) => {
    const queue = waiting.get(reply.stream);
    if (reply.ok) {
      queue?.shift()?.resolve(reply);
      return;
    }
    const failure = new OrbweaverError('WORKER_FAILED', `a digest failed: ${reply.message}`);
    for (const deferred of queue?.splice(0) ?? []) deferred.reject(failure);
  });
  worker.on('error', (error) =>
    end(new OrbweaverError('WORKER_FAILED', `the digest thread died: ${error.message}`, {}, error)),
  );
  worker.on('exit', () => end(new OrbweaverError('WORKER_FAILED', 'the digest thread ended')));

  const ask = (task: DigestTask, transfer: ArrayBuffer[] = []): Promise<Reply> => {
    const deferred = new Deferred<Reply>();
    const queue = waiting.get(task.stream);
    if (death !== null || queue === undefined) {
      deferred.reject(
        death ?? new OrbweaverError('CLOSED', 'a digest that has ended takes nothing more'),
      );
    } else {
      queue.push(deferred);
      worker.postMessage(task, transfer);
    }
    return deferred.promise;
  };

  return {
    open(names) {
      const stream = nextStream++;
      if (death === null) {
        waiting.set(stream, []);
        worker.postMessage({ kind: 'open', stream, names } satisfies DigestTask);
      }
      return {
        async update(bytes) {
          // Shared memory is seen from there; anything else is copied, since its owner keeps it.
          const shared = bytes.buffer instanceof SharedArrayBuffer;
          const own = shared ? bytes : new Uint8Array(bytes);
          const transfer = shared ? [] : [own.buffer as ArrayBuffer];
          return (await ask({ kind: 'update', stream, bytes: own }, transfer)).leaves;
        },
        async finish() {
          const { digests = {}, leaves } = await ask({ kind: 'finish', stream });
          waiting.delete(stream);
          return { digests, leaves };
        },
        drop() {
          if (!waiting.delete(stream) || death !== null) return;
          worker.postMessage({ kind: 'drop', stream } satisfies DigestTask);
        },
      };
    },
    async close() {
      end(new OrbweaverError('CLOSED', 'the digest threads are closed'));
      await worker.terminate();
    },
  };
}
