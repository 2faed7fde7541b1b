import { DATA_KEY, HASH_BYTES } from '../../hash/index.js';
import type { HashReply, HashTask } from '../messages.js';
import type { TaskContext } from './context.js';

/** Hashes all chunks, in one call of the kernel or in one for each run of neighbours. */
export function runHash(context: TaskContext, task: HashTask): HashReply {
  const bytes = context.bytesOf(task.slab);
  const { starts, lengths } = task;
  const list = context.kernels.hasher.keyedList?.(DATA_KEY, bytes, starts, lengths) ?? null;
  if (list !== null) return { hashes: list };
  const count = starts.length;
  const hashes = new Uint8Array(HASH_BYTES * count);
  const ends = new Uint32Array(count);
  for (let i = 0; i < count; i++) ends[i] = (starts[i] as number) + (lengths[i] as number);
  for (let first = 0; first < count; ) {
    let last = first + 1;
    while (last < count && starts[last] === ends[last - 1]) last++;
    const start = starts[first] as number;
    const run = ends.subarray(first, last);
    const offset = HASH_BYTES * first;
    context.kernels.hasher.keyedMany(DATA_KEY, bytes, start, run, last - first, hashes, offset);
    first = last;
  }
  return { hashes };
}
