import type { ScanReply, ScanTask } from '../messages.js';
import type { TaskContext } from './context.js';

/** Room for candidates at first: enough for 4 MiB of random data some 60 times over. */
const FIRST_CANDIDATES = 4096;

/**
 * Lists the candidate cuts of every segment. A segment is scanned as if its file began at
 * `fileStart`, so nothing of a neighbour in the same slab reaches the window.
 */
export function runScan(context: TaskContext, task: ScanTask): ScanReply {
  const bytes = context.bytesOf(task.slab);
  let found = new Uint32Array(FIRST_CANDIDATES);
  let count = 0;
  const ends = new Uint32Array(task.segments.length);
  task.segments.forEach((segment, index) => {
    const data = bytes.subarray(segment.fileStart, segment.end);
    const end = segment.end - segment.fileStart;
    let start = segment.start - segment.fileStart;
    while (start < end) {
      if (count === found.length) found = grown(found);
      const room = found.subarray(count);
      const foundNow = context.kernels.scanner.scan(data, start, end, task.maskBits, room);
      // Positions count from `fileStart` inside `data`, from the slab outside.
      for (let i = 0; i < foundNow; i++) room[i] = (room[i] as number) + segment.fileStart;
      count += foundNow;
      if (foundNow < room.length) break;
      start = (room[foundNow - 1] as number) - segment.fileStart;
    }
    ends[index] = count;
  });
  return { candidates: found.slice(0, count), ends };
}

function grown(list: Uint32Array): Uint32Array<ArrayBuffer> {
  const longer = new Uint32Array(2 * list.length);
  longer.set(list);
  return longer;
}
