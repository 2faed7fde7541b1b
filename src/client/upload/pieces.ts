import { RECORD_HEADER_BYTES } from '../../xorb/index.js';
import type { ComputePool, Slab } from '../ports.js';
import type { Batch } from './batch.js';

/** A slab that several pieces of xorbs lie in; given back when the last of them is let go. */
export class SharedSlab {
  readonly slab: Slab;
  #users = 1;

  constructor(slab: Slab) {
    this.slab = slab;
  }

  retain(): this {
    this.#users++;
    return this;
  }

  release(): void {
    this.#users--;
    if (this.#users === 0) this.slab.release();
  }
}

/** Records that lie side by side. */
export interface Piece {
  readonly home: SharedSlab;
  readonly start: number;
  readonly end: number;
}

/** Chunks of one batch that go to one xorb, ascending. */
export interface NewChunks {
  readonly slot: number;
  readonly chunks: readonly number[];
}

/** A slab that collects the new chunks of slabs that are mostly known. */
interface Gather {
  readonly home: Promise<SharedSlab>;
  /** The first xorb with records in it. */
  readonly slot: number;
  /** Bytes spoken for. */
  used: number;
}

/**
 * Packs the new chunks of a batch. In place when at least half of the slab is new: the slab then
 * becomes part of the xorb. Otherwise into a gather slab shared by all lanes, so that a slab of
 * which little is new is free at once instead of being held by a few records.
 *
 * Nothing here waits for memory while it holds some: without a free slab at hand, records stay in
 * place.
 *
 * Without shared memory a slab is away while a task works on it. So there a xorb's records never
 * share a slab with ones that may still be packed when the xorb is sent.
 */
export class Packing {
  readonly #pool: ComputePool;
  #gather: Gather | null = null;

  constructor(pool: ComputePool) {
    this.#pool = pool;
  }

  /**
   * Starts packing and takes over the batch's slab. One promise per group, in order; each rejects
   * when its records could not be made. Slabs held by pieces are the caller's to release.
   */
  pack(batch: Batch, groups: readonly NewChunks[]): Promise<Piece>[] {
    const home = new SharedSlab(batch.slab);
    let newBytes = 0;
    let newCount = 0;
    for (const group of groups) {
      newCount += group.chunks.length;
      for (const chunk of group.chunks) newBytes += batch.lengths[chunk] as number;
    }
    const needed = newBytes + RECORD_HEADER_BYTES * newCount;
    const gather = 2 * newBytes >= this.#pool.slabBytes ? null : this.#gatherFor(needed, groups);
    const pieces = gather === null ? this.#inPlace(batch, home, groups) : [];
    if (gather !== null) {
      for (const group of groups) pieces.push(this.#into(gather, batch, home, group));
    }
    // The batch's own hold ends when its last task has ended.
    void Promise.allSettled(pieces).then(() => home.release());
    return pieces;
  }

  /** Lets go of the gather slab; records in it stay as long as their xorb needs them. */
  dropGather(): void {
    const gather = this.#gather;
    this.#gather = null;
    gather?.home.then(
      (home) => home.release(),
      () => undefined,
    );
  }

  /**
   * All groups one after another in the slab they lie in. The first record is written so far ahead
   * that all headers still to come have room: `targetStart + 8 × chunks <= first chunk`.
   */
  #inPlace(batch: Batch, home: SharedSlab, groups: readonly NewChunks[]): Promise<Piece>[] {
    let headers = 0;
    for (const group of groups) headers += RECORD_HEADER_BYTES * group.chunks.length;
    let before: Promise<unknown> = Promise.resolve();
    const pieces = groups.map((group) => {
      const { starts, lengths } = chunksOf(batch, group);
      const targetOffset = (starts[0] as number) - headers;
      headers -= RECORD_HEADER_BYTES * group.chunks.length;
      const packed = before.then(() =>
        this.#pool.pack({ source: home.slab, target: home.slab, targetOffset, starts, lengths }),
      );
      // The next group's records start inside of what this one still reads.
      before = packed;
      const piece = packed.then(({ packedBytes }) => ({
        home: home.retain(),
        start: targetOffset,
        end: targetOffset + packedBytes,
      }));
      piece.catch(() => undefined);
      return piece;
    });
    if (this.#pool.sharedMemory) return pieces;
    return pieces.map(async (piece) => {
      await Promise.allSettled(pieces);
      return piece;
    });
  }

  async #into(gather: Gather, batch: Batch, home: SharedSlab, group: NewChunks): Promise<Piece> {
    const { starts, lengths } = chunksOf(batch, group);
    let room = RECORD_HEADER_BYTES * starts.length;
    for (const length of lengths) room += length;
    const targetOffset = gather.used;
    gather.used += room;
    const target = (await gather.home).retain();
    try {
      const { packedBytes } = await this.#pool.pack({
        source: home.slab,
        target: target.slab,
        targetOffset,
        starts,
        lengths,
      });
      // What compression saved is given back when nobody has come behind it yet.
      if (gather.used === targetOffset + room) gather.used = targetOffset + packedBytes;
      return { home: target, start: targetOffset, end: targetOffset + packedBytes };
    } catch (error) {
      target.release();
      throw error;
    }
  }

  /** A gather slab with `bytes` free, or null when that would mean to wait for memory. */
  #gatherFor(bytes: number, groups: readonly NewChunks[]): Gather | null {
    const slot = groups[0]?.slot;
    const { slabBytes, sharedMemory } = this.#pool;
    if (slot === undefined || bytes > slabBytes || (groups.length > 1 && !sharedMemory))
      return null;
    const current = this.#gather;
    const usable = current !== null && (sharedMemory || current.slot === slot);
    if (usable && current.used + bytes <= slabBytes) return current;
    if (this.#pool.freeSlabs === 0 || this.#pool.waiting > 0) return null;
    this.dropGather();
    const home = this.#pool.acquire(1).then(([slab]) => new SharedSlab(slab as Slab));
    home.catch(() => undefined);
    this.#gather = { home, slot, used: 0 };
    return this.#gather;
  }
}

function chunksOf(batch: Batch, group: NewChunks): { starts: Uint32Array; lengths: Uint32Array } {
  const count = group.chunks.length;
  const starts = new Uint32Array(count);
  const lengths = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    starts[i] = batch.starts[group.chunks[i] as number] as number;
    lengths[i] = batch.lengths[group.chunks[i] as number] as number;
  }
  return { starts, lengths };
}
