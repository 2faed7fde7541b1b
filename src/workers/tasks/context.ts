import type { CompressionPolicy } from '../../compress/index.js';
import type { Kernels, Sha256 } from '../../kernels/index.js';
import {
  createRecordDecoder,
  createRecordPacker,
  type RecordDecoder,
  type RecordPacker,
  VERIFY_SCRATCH_BYTES,
} from '../../xorb/index.js';
import type { SlabRef } from '../messages.js';

/** What tasks work with: one thread's kernels and scratch, made once. */
export interface TaskContext {
  readonly kernels: Kernels;
  readonly packer: RecordPacker;
  readonly decoder: RecordDecoder;
  readonly createSha256: () => Sha256;
  /** For verification; made when first asked for, which uploads never do. */
  readonly verifyScratch: () => Uint8Array;
  /** The bytes of a slab. */
  readonly bytesOf: (slab: SlabRef) => Uint8Array;
}

/** `memory` null: slabs come as their bytes. */
export function createTaskContext(options: {
  readonly kernels: Kernels;
  readonly createSha256: () => Sha256;
  readonly compression: CompressionPolicy;
  readonly memory: { readonly buffer: ArrayBufferLike } | null;
  readonly slabBytes: number;
}): TaskContext {
  const { kernels, createSha256, compression, memory, slabBytes } = options;
  let scratch: Uint8Array | null = null;
  return {
    kernels,
    createSha256,
    packer: createRecordPacker({
      codec: kernels.codec,
      policy: compression,
      kernels: kernels.records,
    }),
    decoder: createRecordDecoder({
      codec: kernels.codec,
      hasher: kernels.hasher,
      kernels: kernels.records,
    }),
    verifyScratch: () => {
      scratch ??= new Uint8Array(VERIFY_SCRATCH_BYTES);
      return scratch;
    },
    bytesOf: (slab) => {
      if (typeof slab !== 'number') return slab;
      if (memory === null) throw new TypeError('"slab" expected bytes, got an offset');
      return new Uint8Array(memory.buffer, slab, slabBytes);
    },
  };
}
