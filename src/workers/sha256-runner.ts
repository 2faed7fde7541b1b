import type { Sha256 } from '../kernels/index.js';
import type { Sha256Task, TaskFailure } from './messages.js';
import { failureOf } from './task-failure.js';

/** What a step of a SHA-256 gives back: the digest at the end, null before. */
export interface Sha256Reply {
  readonly outcome: { readonly ok: true; readonly digest: Uint8Array | null } | TaskFailure;
  readonly buffers: readonly Uint8Array[];
}

/**
 * Keeps the state of all streams of one thread. Steps carry their number, so that a thread that
 * took over from a dead one does not hash the rest of a stream as if it were the whole.
 */
export function createSha256Runner(
  memory: { readonly buffer: ArrayBufferLike } | null,
  createSha256: () => Sha256,
): (task: Sha256Task) => Sha256Reply {
  const streams = new Map<number, { hash: Sha256; nextSequence: number }>();

  const step = (task: Sha256Task): Uint8Array | null => {
    if (task.kind === 'drop') {
      streams.delete(task.stream);
      return null;
    }
    let stream = streams.get(task.stream);
    if (stream === undefined && task.sequence === 0) {
      stream = { hash: createSha256(), nextSequence: 0 };
      streams.set(task.stream, stream);
    }
    if (stream === undefined || stream.nextSequence !== task.sequence) {
      throw new RangeError(`step ${task.sequence} of a SHA-256 does not follow the one before`);
    }
    stream.nextSequence++;
    if (task.kind === 'digest') {
      streams.delete(task.stream);
      return stream.hash.digest();
    }
    const { slab, start, end } = task;
    if (typeof slab !== 'number') stream.hash.update(slab.subarray(start, end));
    else if (memory !== null) {
      stream.hash.update(new Uint8Array(memory.buffer, slab + start, end - start));
    }
    return null;
  };

  return (task) => {
    const buffers = task.kind === 'update' && typeof task.slab !== 'number' ? [task.slab] : [];
    try {
      return { outcome: { ok: true, digest: step(task) }, buffers };
    } catch (error) {
      return { outcome: failureOf(error), buffers };
    }
  };
}
