import { Deferred } from '../../flow/index.js';
import { RECORD_HEADER_BYTES } from '../../xorb/index.js';
import type { ComputePool, Slab } from '../ports.js';
import type { Batch } from './batch.js';
import type { NewChunks } from './placing.js';

/** Records that lie side by side, borrowed from the slab that they lie in. */
export interface Piece {
  readonly bytes: Uint8Array;
  /** They are not needed any more. Safe to call twice. */
  readonly end: () => void;
}

/** A slab that collects the new chunks of slabs that are mostly known. */
interface Gather {
  readonly slab: Promise<Slab>;
  /** The first xorb with records in it. */
  readonly slot: number;
  /** Bytes spoken for. */
  used: number;
  /** Tasks that write to it, and what their records become. */
  readonly tasks: Promise<unknown>[];
  readonly pieces: Promise<Piece>[];
  /** Nothing more is going to be written to it than what the tasks there are write. */
  readonly closed: Deferred<void>;
}

/** Chunks of a batch in the form that the pool takes. */
interface Chunks {
  readonly starts: Uint32Array;
  readonly lengths: Uint32Array;
}

/**
 * Packs the new chunks of a batch. In place when at least half of the slab is new: the slab then
 * becomes part of the xorb. Otherwise into a gather slab shared by all lanes, so that a slab of
 * which little is new is free at once instead of being held by a few records.
 *
 * Nothing here waits for memory while it holds some: without a free slab at hand, records stay in
 * place.
 *
 * Without shared memory a slab is away while a task works on it, and another buffer when it is back.
 * So there a gather belongs to one xorb, and pieces come when the slab's last task is done.
 */
export class Packing {
  readonly #pool: ComputePool;
  #gather: Gather | null = null;

  constructor(pool: ComputePool) {
    this.#pool = pool;
  }

  /**
   * Starts packing and takes over `slab`, which is that of the batch. One promise per group, in order;
   * each rejects when its records could not be made. Pieces are the caller's to end.
   */
  pack(slab: Slab, batch: Batch, groups: readonly NewChunks[]): Promise<Piece>[] {
    let newBytes = 0;
    let newCount = 0;
    for (const group of groups) {
      newCount += group.chunks.length;
      for (const chunk of group.chunks) newBytes += batch.lengths[chunk] as number;
    }
    const needed = newBytes + RECORD_HEADER_BYTES * newCount;
    const gather = 2 * newBytes >= this.#pool.slabBytes ? null : this.#gatherFor(needed, groups);
    const chunks = groups.map((group) => chunksOf(batch, group));
    if (gather === null) return this.#inPlace(slab, chunks);
    const written = chunks.map((each) => this.#into(gather, slab, each));
    void Promise.allSettled(written).then(() => slab.release());
    const pieces = written.map((result) => this.#pieceIn(gather, result));
    gather.pieces.push(...pieces);
    return pieces;
  }

  /** Nothing more comes for this xorb. */
  closed(slot: number): void {
    if (!this.#pool.sharedMemory && this.#gather?.slot === slot) this.dropGather();
  }

  /** Lets go of the gather slab; records in it stay as long as their xorb needs them. */
  dropGather(): void {
    const gather = this.#gather;
    this.#gather = null;
    gather?.closed.resolve();
  }

  /**
   * All groups one after another in the slab they lie in. The first record is written so far ahead
   * that all headers still to come have room: `targetStart + 8 × chunks <= first chunk`.
   */
  #inPlace(slab: Slab, groups: readonly Chunks[]): Promise<Piece>[] {
    let headers = 0;
    for (const { starts } of groups) headers += RECORD_HEADER_BYTES * starts.length;
    // The next group's records start inside of what this one still reads.
    let before: Promise<unknown> = Promise.resolve();
    const packed = groups.map(({ starts, lengths }) => {
      const targetOffset = (starts[0] as number) - headers;
      headers -= RECORD_HEADER_BYTES * starts.length;
      const task = before.then(() =>
        this.#pool.pack({ source: slab, target: slab, targetOffset, starts, lengths }),
      );
      before = task;
      return { targetOffset, task };
    });
    const all = Promise.allSettled(packed.map(({ task }) => task));
    const pieces = packed.map(async ({ targetOffset, task }) => {
      const { packedBytes } = await task;
      if (!this.#pool.sharedMemory) await all;
      return pieceOf(slab, targetOffset, targetOffset + packedBytes);
    });
    void Promise.allSettled(pieces).then(() => slab.release());
    return pieces;
  }

  async #pieceIn(
    gather: Gather,
    written: Promise<{ readonly start: number; readonly end: number }>,
  ): Promise<Piece> {
    const { start, end } = await written;
    if (!this.#pool.sharedMemory) {
      await gather.closed.promise;
      await Promise.allSettled(gather.tasks);
    }
    return pieceOf(await gather.slab, start, end);
  }

  /** Packs into the gather slab; returns where the records lie. */
  async #into(
    gather: Gather,
    source: Slab,
    { starts, lengths }: Chunks,
  ): Promise<{ readonly start: number; readonly end: number }> {
    let most = RECORD_HEADER_BYTES * starts.length;
    for (const length of lengths) most += length;
    const start = gather.used;
    gather.used += most;
    const task = gather.slab.then((target) =>
      this.#pool.pack({ source, target, targetOffset: start, starts, lengths }),
    );
    gather.tasks.push(task);
    const { packedBytes } = await task;
    // What compression saved is given back when nobody has come behind it yet.
    if (gather.used === start + most) gather.used = start + packedBytes;
    return { start, end: start + packedBytes };
  }

  /** A gather slab with `bytes` free, or null when that would mean to wait for memory. */
  #gatherFor(bytes: number, groups: readonly NewChunks[]): Gather | null {
    const slot = groups[0]?.slot;
    const { slabBytes, sharedMemory } = this.#pool;
    if (slot === undefined || bytes > slabBytes || (groups.length > 1 && !sharedMemory)) {
      return null;
    }
    const current = this.#gather;
    const usable = current !== null && (sharedMemory || current.slot === slot);
    if (usable && current.used + bytes <= slabBytes) return current;
    if (this.#pool.freeSlabs === 0 || this.#pool.waiting > 0) return null;
    this.dropGather();
    this.#gather = newGather(
      this.#pool.acquire(1).then(([slab]) => slab as Slab),
      slot,
    );
    return this.#gather;
  }
}

/** The slab goes back when nothing more comes and all pieces have borrowed it. */
function newGather(slab: Promise<Slab>, slot: number): Gather {
  const gather: Gather = {
    slab,
    slot,
    used: 0,
    tasks: [],
    pieces: [],
    closed: new Deferred(),
  };
  const end = async (): Promise<void> => {
    await gather.closed.promise;
    await Promise.allSettled(gather.pieces);
    (await slab).release();
  };
  // Without a slab there is nothing to give back; the pieces say why.
  end().catch(() => undefined);
  return gather;
}

function pieceOf(slab: Slab, start: number, end: number): Piece {
  return { bytes: slab.bytes.subarray(start, end), end: slab.borrow() };
}

function chunksOf(batch: Batch, group: NewChunks): Chunks {
  const count = group.chunks.length;
  const starts = new Uint32Array(count);
  const lengths = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    starts[i] = batch.starts[group.chunks[i] as number] as number;
    lengths[i] = batch.lengths[group.chunks[i] as number] as number;
  }
  return { starts, lengths };
}
