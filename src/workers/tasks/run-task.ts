import type { ReplyOf, SlabRef, Task, WorkerReply } from '../messages.js';
import { failureOf } from '../task-failure.js';
import { runChunk } from './chunk.js';
import type { TaskContext } from './context.js';
import { runDecode } from './decode.js';
import { runHash } from './hash.js';
import { runPack, runVerify } from './records.js';

/**
 * Runs one task on this thread and gives back what came of it, with the buffers that travelled. Never
 * throws: a thrown error would lose its code on the way out.
 */
export function runTask(context: TaskContext, task: Task): WorkerReply {
  const buffers = slabsOf(task).filter((slab) => typeof slab !== 'number');
  try {
    return { outcome: { ok: true, reply: replyTo(context, task) }, buffers };
  } catch (error) {
    return { outcome: failureOf(error), buffers };
  }
}

/** The slabs that a task names, in a fixed order. */
function slabsOf(task: Task): SlabRef[] {
  if (task.kind === 'ping') return [];
  const slabs = [task.slab];
  if ((task.kind === 'pack' || task.kind === 'decode') && task.target !== null) {
    slabs.push(task.target);
  }
  return slabs;
}

function replyTo(context: TaskContext, task: Task): ReplyOf<Task> {
  switch (task.kind) {
    case 'chunk':
      return runChunk(context, task);
    case 'hash':
      return runHash(context, task);
    case 'pack':
      return runPack(context, task);
    case 'decode':
      return runDecode(context, task);
    case 'verify':
      return runVerify(context, task);
    case 'ping':
      return null;
  }
}
