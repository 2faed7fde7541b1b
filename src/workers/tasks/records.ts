import { verifyXorb } from '../../xorb/index.js';
import type { HashReply, PackReply, PackTask, VerifyTask } from '../messages.js';
import type { TaskContext } from './context.js';

/** Chunks to records, into another slab or in place. */
export function runPack(context: TaskContext, task: PackTask): PackReply {
  const source = context.bytesOf(task.slab);
  const target = task.target === null ? source : context.bytesOf(task.target);
  const recordLengths = new Uint32Array(task.starts.length);
  const { starts, lengths, targetOffset: at } = task;
  const packedBytes = context.packer.pack(source, starts, lengths, target, at, recordLengths);
  return { packedBytes, recordLengths };
}

/** Records to the hashes of their chunks; the chunks themselves only ever live in scratch. */
export function runVerify(context: TaskContext, task: VerifyTask): HashReply {
  const { codec, hasher, records: kernels } = context.kernels;
  const records = context.bytesOf(task.slab).subarray(task.start, task.end);
  const info = verifyXorb({ codec, hasher, kernels, scratch: context.verifyScratch() }, records);
  return { hashes: info.chunkHashes };
}
