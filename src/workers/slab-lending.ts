import type { Slab } from '../client/ports.js';
import type { SlabRef, WorkerAnswer } from './messages.js';
import { type Block, PoolSlab, type SlabAllocator } from './slab-allocator.js';

/** Gives slabs to tasks and takes them back, in both forms of memory. */
export class SlabLending {
  readonly #allocator: SlabAllocator;
  readonly #sharedMemory: boolean;

  constructor(allocator: SlabAllocator, sharedMemory: boolean) {
    this.#allocator = allocator;
    this.#sharedMemory = sharedMemory;
  }

  /**
   * Runs `work` with references to `slabs`. On shared memory tasks overlap freely, and `work` is
   * called before this returns. Otherwise the buffers leave, so each task waits for the one before
   * on the same slab, and puts back what came home; a buffer that died with its worker is replaced
   * by an empty one.
   */
  async lend<A extends Pick<WorkerAnswer, 'buffers'>>(
    slabs: readonly Slab[],
    work: (refs: SlabRef[], transfer: ArrayBuffer[]) => Promise<A>,
  ): Promise<A> {
    const blocks = slabs.map((slab) => this.#blockOf(slab));
    const endTasks = blocks.map((block) => this.#allocator.beginTask(block));
    try {
      if (this.#sharedMemory) {
        return await work(
          blocks.map((block) => block.offset),
          [],
        );
      }
      const before = Promise.allSettled(blocks.map((block) => block.lastTask));
      const run = before.then(() => this.#send(blocks, work));
      for (const block of blocks) block.lastTask = run.catch(() => undefined);
      return await run;
    } finally {
      for (const end of endTasks) end();
    }
  }

  async #send<A extends Pick<WorkerAnswer, 'buffers'>>(
    blocks: readonly Block[],
    work: (refs: SlabRef[], transfer: ArrayBuffer[]) => Promise<A>,
  ): Promise<A> {
    const refs = blocks.map((block) => block.bytes);
    const sizes = refs.map((bytes) => bytes.length);
    try {
      const transfer = refs.map((bytes) => bytes.buffer as ArrayBuffer);
      const answer = await work(refs, transfer);
      answer.buffers.forEach((bytes, i) => {
        (blocks[i] as Block).bytes = bytes;
      });
      return answer;
    } finally {
      blocks.forEach((block, i) => {
        if (block.bytes.length === 0) block.bytes = new Uint8Array(sizes[i] as number);
      });
    }
  }

  #blockOf(slab: Slab): Block {
    if (slab instanceof PoolSlab && slab.allocator === this.#allocator) return slab.block;
    throw new TypeError('"slab" expected one of this pool, got another');
  }
}
