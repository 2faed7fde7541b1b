import { createHash } from 'node:crypto';
import type {
  ComputePool,
  DecodeRequest,
  PackRequest,
  Sha256Stream,
  Slab,
  SlabSegment,
} from '../../../src/client/ports.js';
import { OrbweaverError } from '../../../src/errors.js';
import { Owned } from '../../../src/flow/index.js';
import type { WorkerPool } from '../../../src/workers/index.js';
import type { Scheduler } from '../../flow/scheduler.js';

/** What a released or overwritten byte looks like. */
const POISON = 0xdd;

interface Task {
  readonly kind: 'chunk' | 'hash' | 'pack' | 'sha256';
}

/** Called before each task runs; may throw, which is how a worker dies. */
export type BeforeTask = (task: Task) => void;

/** A slab of the fake pool: the real one below, poisoned when it goes back. */
class FakeSlab implements Slab {
  readonly #owned: Owned<Slab>;

  constructor(owned: Owned<Slab>) {
    this.#owned = owned;
  }

  get bytes(): Uint8Array {
    return this.#owned.value.bytes;
  }
  get inner(): Slab {
    return this.#owned.value;
  }
  borrow(): () => void {
    return this.#owned.borrow();
  }
  move(): Slab {
    return new FakeSlab(this.#owned.move());
  }
  release(): void {
    this.#owned.release();
  }
}

/**
 * A pool whose tasks are done by a real one, each when its turn comes: the scheduler permutes when
 * tasks start and when they end. What nobody may read any more is poisoned: slabs that were given
 * back, and the slab that a task has written to behind what it wrote.
 */
export class PermutingPool implements ComputePool {
  readonly #pool: WorkerPool;
  readonly #world: Scheduler;
  readonly #before: BeforeTask;
  outCount = 0;

  constructor(pool: WorkerPool, world: Scheduler, before: BeforeTask = () => undefined) {
    this.#pool = pool;
    this.#world = world;
    this.#before = before;
  }

  get slabBytes(): number {
    return this.#pool.slabBytes;
  }
  get slabCount(): number {
    return this.#pool.slabCount;
  }
  get threads(): number {
    return 2;
  }
  get tier(): string {
    return this.#pool.tier;
  }
  get sharedMemory(): boolean {
    return true;
  }
  get freeSlabs(): number {
    return this.#pool.freeSlabs;
  }
  get waiting(): number {
    return this.#pool.waiting;
  }

  async acquire(count: number, signal?: AbortSignal): Promise<Slab[]> {
    const slabs = await this.#pool.acquire(count, signal);
    this.outCount += slabs.length;
    return slabs.map(
      (slab) =>
        new FakeSlab(
          new Owned(slab, (inner) => {
            inner.bytes.fill(POISON);
            this.outCount--;
            inner.release();
          }),
        ),
    );
  }

  onStarved(listener: () => void): () => void {
    return this.#pool.onStarved(listener);
  }

  chunk(slab: Slab, segments: readonly SlabSegment[]): ReturnType<ComputePool['chunk']> {
    return this.#task('chunk', [slab], ([inner]) => this.#pool.chunk(inner as Slab, segments));
  }

  hash(slab: Slab, starts: Uint32Array, lengths: Uint32Array): Promise<Uint8Array> {
    return this.#task('hash', [slab], ([inner]) => this.#pool.hash(inner as Slab, starts, lengths));
  }

  pack(request: PackRequest): ReturnType<ComputePool['pack']> {
    const { source, target } = request;
    return this.#task('pack', [source, target], async ([from, to]) => {
      const packed = await this.#pool.pack({
        ...request,
        source: from as Slab,
        target: to as Slab,
      });
      if (source === target) {
        const end = request.targetOffset + packed.packedBytes;
        const last = request.starts.length - 1;
        const read = (request.starts[last] as number) + (request.lengths[last] as number);
        (to as Slab).bytes.fill(POISON, end, Math.max(end, read));
      }
      return packed;
    });
  }

  copyOut(): never {
    throw new Error('not used by uploads');
  }

  decode(_request: DecodeRequest): never {
    throw new Error('not used by uploads');
  }

  createSha256(): Sha256Stream {
    const hash = createHash('sha256');
    // Steps run in the order of the calls, each some time after the one before.
    let last: Promise<unknown> = Promise.resolve();
    const next = <T>(step: () => Promise<T>): Promise<T> => {
      const before = last;
      const run = (async () => {
        await before.catch(() => undefined);
        return step();
      })();
      last = run.catch(() => undefined);
      return run;
    };
    return {
      update: (slab, start, end) =>
        next(() =>
          this.#task('sha256', [slab], async ([from]) => {
            hash.update((from as Slab).bytes.subarray(start, end));
          }),
        ),
      digest: () => next(() => this.#world.op(() => new Uint8Array(hash.digest()))),
      dispose: () => undefined,
    };
  }

  close(): Promise<void> {
    return this.#pool.close();
  }

  /** The slabs stay until the task is done, as in a real pool, but nobody else is kept from them. */
  async #task<T>(
    kind: Task['kind'],
    slabs: readonly Slab[],
    work: (inner: readonly Slab[]) => Promise<T>,
  ): Promise<T> {
    const inner = slabs.map((slab) => (slab as FakeSlab).inner);
    const ends = slabs.map((slab) => slab.borrow());
    try {
      const done = await this.#world.op(() => {
        this.#before({ kind });
        return work(inner);
      });
      return await this.#world.op(() => done);
    } catch (error) {
      if (error instanceof OrbweaverError) throw error;
      throw new OrbweaverError('WORKER_FAILED', String(error));
    } finally {
      for (const end of ends) end();
    }
  }
}
