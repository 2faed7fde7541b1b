import { HASH_BYTES } from '../../hash/index.js';
import type { DecodeReply, DecodeTask } from '../messages.js';
import type { TaskContext } from './context.js';

/** Numbers for each run of a task: start and end of its records, start and end of its output. */
const NUMBERS_PER_RUN = 4;

/** Runs of records to chunks and their hashes, in one task for a whole slab. */
export function runDecode(
  context: Pick<TaskContext, 'bytesOf' | 'decoder'>,
  task: DecodeTask,
): DecodeReply {
  const input = context.bytesOf(task.slab);
  const output = context.bytesOf(task.target);
  const decoded = [];
  let count = 0;
  for (let at = 0; at < task.runs.length; at += NUMBERS_PER_RUN) {
    const [start, end, outputStart, outputEnd] = task.runs.subarray(
      at,
      at + NUMBERS_PER_RUN,
    ) as Iterable<number> as [number, number, number, number];
    const place = [input, start, end, output, outputStart] as const;
    const run = context.decoder.decode(...place, outputEnd - outputStart, { rawInPlace: true });
    decoded.push(run);
    count += run.lengths.length;
  }
  const lengths = new Uint32Array(count);
  const hashes = new Uint8Array(HASH_BYTES * count);
  let first = 0;
  for (const run of decoded) {
    lengths.set(run.lengths, first);
    hashes.set(run.hashes, HASH_BYTES * first);
    first += run.lengths.length;
  }
  return { lengths, hashes };
}
