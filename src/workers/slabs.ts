import type { Slab } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import { Deferred, Owned } from '../flow/index.js';
import { closedError } from './executor.js';
import type { SlabRef } from './messages.js';

/** A fixed place of the pool's memory. Handles come and go, regions stay. */
interface Region {
  /** Where it starts in the shared memory; -1 when the memory is not shared. */
  readonly offset: number;
  /** The bytes; replaced when a buffer came back from a thread, empty while it is away. */
  bytes: Uint8Array;
  /** Last task on the region, for pools whose buffers travel. */
  lastTask: Promise<unknown>;
}

/** The only class behind {@link Slab}: a region with the rules of ownership. */
class PoolSlab implements Slab {
  readonly slabs: Slabs;
  readonly #owned: Owned<Region>;

  constructor(slabs: Slabs, owned: Owned<Region>) {
    this.slabs = slabs;
    this.#owned = owned;
  }

  get region(): Region {
    return this.#owned.value;
  }

  get bytes(): Uint8Array {
    return this.#owned.value.bytes;
  }

  borrow(): () => void {
    return this.#owned.borrow();
  }

  move(): Slab {
    return new PoolSlab(this.slabs, this.#owned.move());
  }

  release(): void {
    this.#owned.release();
  }
}

interface Waiter {
  readonly count: number;
  readonly turn: Deferred<Slab[]>;
}

/** What {@link Slabs} are made of. */
export interface SlabsOptions {
  readonly slabCount: number;
  readonly sharedMemory: boolean;
  readonly create: (index: number) => Pick<Region, 'offset' | 'bytes'>;
}

/**
 * The slabs of a pool. They are handed out all that a caller asks for at once or none, first come
 * first served: a big request at the head of the line is not overtaken by small ones, so nobody
 * starves. Freed regions are handed out again before untouched ones, so that a small job commits
 * little memory. A region is free when its owner has released it and the last task on it has ended.
 */
export class Slabs {
  readonly #options: SlabsOptions;
  readonly #free: Region[] = [];
  readonly #waiters = new Set<Waiter>();
  readonly #listeners = new Set<() => void>();
  #createdCount = 0;
  #closed = false;

  constructor(options: SlabsOptions) {
    this.#options = options;
  }

  get freeCount(): number {
    return this.#free.length + this.#options.slabCount - this.#createdCount;
  }

  get waitingCount(): number {
    return this.#waiters.size;
  }

  async acquire(count: number, signal?: AbortSignal): Promise<Slab[]> {
    const { slabCount } = this.#options;
    if (!Number.isSafeInteger(count) || count < 1 || count > slabCount) {
      throw new RangeError(`"count" expected 1 to ${slabCount} slabs, got ${count}`);
    }
    if (this.#closed) throw closedError();
    if (signal?.aborted === true) throw abortedError(signal);
    if (this.#waiters.size === 0 && this.freeCount >= count) return this.#take(count);
    return this.#wait(count, signal);
  }

  onStarved(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Everyone who waits gets `CLOSED`, and so does everyone who comes later. */
  close(): void {
    this.#closed = true;
    const waiters = [...this.#waiters];
    this.#waiters.clear();
    for (const { turn } of waiters) turn.reject(closedError());
  }

  /**
   * Runs a task with references to `slabs`, which stay borrowed until it has settled. On shared
   * memory tasks overlap freely, and `work` is called before this returns. Otherwise the buffers
   * leave, so each task waits for the one before on the same slab, and puts back what came home; a
   * buffer that died with its thread is replaced by an empty one.
   */
  async borrow<A extends { readonly buffers: readonly Uint8Array[] }>(
    slabs: readonly Slab[],
    work: (refs: SlabRef[], transfer: ArrayBuffer[]) => Promise<A>,
  ): Promise<A> {
    const regions = slabs.map((slab) => this.#regionOf(slab));
    const ends = slabs.map((slab) => slab.borrow());
    try {
      if (this.#options.sharedMemory) {
        return await work(
          regions.map((region) => region.offset),
          [],
        );
      }
      const before = Promise.allSettled(regions.map((region) => region.lastTask));
      const run = before.then(() => this.#send(regions, work));
      for (const region of regions) region.lastTask = run.catch(() => undefined);
      return await run;
    } finally {
      for (const end of ends) end();
    }
  }

  async #send<A extends { readonly buffers: readonly Uint8Array[] }>(
    regions: readonly Region[],
    work: (refs: SlabRef[], transfer: ArrayBuffer[]) => Promise<A>,
  ): Promise<A> {
    const refs = regions.map((region) => region.bytes);
    const sizes = refs.map((bytes) => bytes.length);
    try {
      const reply = await work(
        refs,
        refs.map((bytes) => bytes.buffer as ArrayBuffer),
      );
      reply.buffers.forEach((bytes, i) => {
        (regions[i] as Region).bytes = bytes;
      });
      return reply;
    } finally {
      regions.forEach((region, i) => {
        if (region.bytes.length === 0) region.bytes = new Uint8Array(sizes[i] as number);
      });
    }
  }

  #regionOf(slab: Slab): Region {
    if (slab instanceof PoolSlab && slab.slabs === this) return slab.region;
    throw new TypeError('"slab" expected one of this pool, got another');
  }

  async #wait(count: number, signal: AbortSignal | undefined): Promise<Slab[]> {
    const waiter: Waiter = { count, turn: new Deferred() };
    const onAbort = (): void => {
      if (!this.#waiters.delete(waiter)) return;
      waiter.turn.reject(abortedError(signal));
      // The next in line may ask for less than this one did.
      this.#serve();
    };
    this.#waiters.add(waiter);
    signal?.addEventListener('abort', onAbort, { once: true });
    for (const listener of [...this.#listeners]) listener();
    try {
      return await waiter.turn.promise;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #serve(): void {
    for (const waiter of this.#waiters) {
      if (this.freeCount < waiter.count) return;
      this.#waiters.delete(waiter);
      waiter.turn.resolve(this.#take(waiter.count));
    }
  }

  #take(count: number): Slab[] {
    const giveBack = (region: Region): void => {
      this.#free.push(region);
      this.#serve();
    };
    return Array.from({ length: count }, () => {
      const region = this.#free.pop() ?? this.#new();
      return new PoolSlab(this, new Owned(region, giveBack));
    });
  }

  #new(): Region {
    const place = this.#options.create(this.#createdCount++);
    return { ...place, lastTask: Promise.resolve() };
  }
}

function abortedError(signal: AbortSignal | undefined): OrbweaverError {
  return new OrbweaverError('ABORTED', 'waiting for memory was cancelled', {}, signal?.reason);
}
