import type { Slab } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';

/** A fixed place of the pool's memory. Handles come and go, blocks stay. */
export interface Block {
  readonly index: number;
  /** Where it starts in the shared memory; -1 when the memory is not shared. */
  readonly offset: number;
  /** The bytes; replaced when a buffer came back from a worker, empty while it is away. */
  bytes: Uint8Array;
  /** Tasks that use the block now. It is not handed out again before they ended. */
  taskCount: number;
  /** Last task on the block, for pools whose buffers travel. */
  lastTask: Promise<unknown>;
  /** The owner gave it back while tasks were running. */
  returning: boolean;
}

/** The only class behind {@link Slab}: a handle on a block for as long as its owner keeps it. */
export class PoolSlab implements Slab {
  readonly allocator: SlabAllocator;
  #block: Block | null;

  constructor(allocator: SlabAllocator, block: Block) {
    this.allocator = allocator;
    this.#block = block;
  }

  /** @throws OrbweaverError `INTERNAL` after {@link release} */
  get block(): Block {
    if (this.#block === null) {
      throw new OrbweaverError('INTERNAL', '"slab" expected one in use, got a released one');
    }
    return this.#block;
  }

  get bytes(): Uint8Array {
    return this.block.bytes;
  }

  borrow(): () => void {
    const end = this.allocator.beginTask(this.block);
    let over = false;
    return () => {
      if (over) return;
      over = true;
      end();
    };
  }

  move(): PoolSlab {
    const moved = new PoolSlab(this.allocator, this.block);
    this.#block = null;
    return moved;
  }

  release(): void {
    const block = this.#block;
    if (block === null) return;
    this.#block = null;
    this.allocator.giveBack(block);
  }
}

interface Waiter {
  readonly count: number;
  readonly resolve: (slabs: Slab[]) => void;
  readonly reject: (error: OrbweaverError) => void;
}

/**
 * Hands out slabs, all that a caller asks for at once or none, first come first served: a big
 * request at the head of the line is not overtaken by small ones, so nobody starves. Freed blocks
 * are handed out again before untouched ones, so that a small job commits little memory.
 */
export class SlabAllocator {
  readonly slabCount: number;
  readonly #create: (index: number) => Pick<Block, 'offset' | 'bytes'>;
  readonly #free: Block[] = [];
  readonly #waiters = new Set<Waiter>();
  readonly #listeners = new Set<() => void>();
  #createdCount = 0;
  #closed = false;

  constructor(slabCount: number, create: (index: number) => Pick<Block, 'offset' | 'bytes'>) {
    this.slabCount = slabCount;
    this.#create = create;
  }

  get freeCount(): number {
    return this.#free.length + this.slabCount - this.#createdCount;
  }

  get waitingCount(): number {
    return this.#waiters.size;
  }

  acquire(count: number, signal?: AbortSignal): Promise<Slab[]> {
    if (!Number.isSafeInteger(count) || count < 1 || count > this.slabCount) {
      const text = `"count" expected 1 to ${this.slabCount} slabs, got ${count}`;
      return Promise.reject(new RangeError(text));
    }
    if (this.#closed) return Promise.reject(closedError());
    if (signal?.aborted === true) return Promise.reject(abortedError(signal));
    if (this.#waiters.size === 0 && this.freeCount >= count) {
      return Promise.resolve(this.#take(count));
    }
    const waiting = new Promise<Slab[]>((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiters.delete(waiter);
        reject(abortedError(signal));
        // The next in line may ask for less than this one did.
        this.#serve();
      };
      const settle = (): void => signal?.removeEventListener('abort', onAbort);
      const waiter: Waiter = {
        count,
        resolve: (slabs) => {
          settle();
          resolve(slabs);
        },
        reject: (error) => {
          settle();
          reject(error);
        },
      };
      this.#waiters.add(waiter);
      signal?.addEventListener('abort', onAbort, { once: true });
    });
    for (const listener of [...this.#listeners]) listener();
    return waiting;
  }

  onStarved(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Called by handles, once each. */
  giveBack(block: Block): void {
    if (block.taskCount > 0) {
      block.returning = true;
      return;
    }
    this.#free.push(block);
    this.#serve();
  }

  /** Marks a task on `block`; the returned function ends it. */
  beginTask(block: Block): () => void {
    block.taskCount++;
    return () => {
      block.taskCount--;
      if (block.taskCount === 0 && block.returning) {
        block.returning = false;
        this.giveBack(block);
      }
    };
  }

  /** Everyone who waits gets `CLOSED`, and so does everyone who comes later. */
  close(): void {
    this.#closed = true;
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const waiter of waiters) waiter.reject(closedError());
  }

  #serve(): void {
    for (const waiter of this.#waiters) {
      if (this.freeCount < waiter.count) return;
      this.#waiters.delete(waiter);
      waiter.resolve(this.#take(waiter.count));
    }
  }

  #take(count: number): Slab[] {
    const slabs: Slab[] = [];
    for (let i = 0; i < count; i++) slabs.push(new PoolSlab(this, this.#free.pop() ?? this.#new()));
    return slabs;
  }

  #new(): Block {
    const index = this.#createdCount++;
    const place = this.#create(index);
    return { ...place, index, taskCount: 0, lastTask: Promise.resolve(), returning: false };
  }
}

function closedError(): OrbweaverError {
  return new OrbweaverError('CLOSED', '"pool" expected an open one, got a closed one');
}

function abortedError(signal: AbortSignal | undefined): OrbweaverError {
  return new OrbweaverError('ABORTED', 'waiting for memory was cancelled', {}, signal?.reason);
}
