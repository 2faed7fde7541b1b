import { DEFAULT_PARAMS } from '../../chunker/index.js';
import type { ClosedXorb, DedupSession } from '../../dedup/index.js';
import { Budget, type Goodput, ordered, type Scope } from '../../flow/index.js';
import type { ComputePool, SegmentChunks, UploadJournal, XorbConsumer } from '../ports.js';
import { Asker, type AskingLane } from './asker.js';
import type { Batch } from './batch.js';
import { chunkBatch, hashSeams } from './cutting.js';
import type { FileTask } from './file-task.js';
import type { KnownShards } from './known-shards.js';
import { Lane } from './lane.js';
import { Lookahead } from './lookahead.js';
import { Packing, type Piece } from './packing.js';
import { type NewChunks, placeBatch } from './placing.js';
import type { GlobalQueries } from './queries.js';
import { Readers, type ReadersHost } from './readers.js';
import type { UploadSizes } from './sizes.js';
import type { Tally } from './tally.js';
import { XorbSender } from './xorb-sender.js';

/** What a pipeline works with. */
export interface PipelineOptions {
  /** Where xorbs go; null: nowhere. */
  readonly consumer: XorbConsumer | null;
  readonly journal: UploadJournal;
  /** What this machine remembers of earlier uploads; null: nothing. */
  readonly known: KnownShards | null;
  /** Null: the store is not asked. */
  readonly queries: GlobalQueries | null;
  readonly pool: ComputePool;
  readonly dedup: DedupSession;
  readonly sizes: UploadSizes;
  readonly sendConcurrency: number;
  /** Says how many xorbs are sent at a time; null: `sendConcurrency`. */
  readonly goodput: Goodput | null;
  readonly tally: Tally;
  readonly scope: Scope;
  /** All chunks of a file have their place; it is still to be ended. */
  readonly onPlaced: (file: FileTask) => void;
  /** The session remembers more than before. */
  readonly onGrown: () => void;
  readonly onAcknowledged: (xorb: ClosedXorb) => void;
  /** Ends the session, `scope` included. */
  readonly onFatal: (error: unknown) => void;
}

/**
 * Moves files from sources to acknowledged xorbs. Stages of one slab, each on its own slab at the same
 * time as the others:
 *
 *     read ─► chunk ─► join ─► ask ─► place ─► pack ─► (xorb closed) send ─► free
 *     lane    pool     here    store  here     pool    target
 *
 * Slabs of a lane are joined, asked for and placed in its order, which is what `ordered` is for; the
 * rest overlaps freely. Why it cannot lock up, however little memory there is: nobody who holds a slab
 * waits for another one in order to get on with it. A lane holds none while it waits for one (the
 * unfinished chunk of the former slab is copied out), what is in the stages needs no more memory, and
 * when everything stands still because the open xorb holds all slabs, it is closed early and sent.
 *
 * A slab belongs to its batch until packing takes it, and then to the packing; whatever fails or is
 * cancelled, `finally` gives it back, and those who still use it keep it until they are done.
 */
export class Pipeline implements ReadersHost {
  readonly pool: ComputePool;
  readonly sizes: UploadSizes;
  readonly scope: Scope;
  readonly #options: PipelineOptions;
  readonly #readers: Readers;
  /** Slabs that are being chunked or hashed at once. */
  readonly #working: Budget;
  /** Batches between reading and packing. */
  readonly #batches = new Set<Batch>();
  readonly #packing: Packing;
  readonly #sender: XorbSender;
  readonly #lookahead: Lookahead;
  readonly #asker: Asker;
  readonly #stopListening: () => void;

  constructor(options: PipelineOptions) {
    const { pool, sizes, scope, dedup, tally, consumer, journal } = options;
    this.#options = options;
    this.pool = pool;
    this.sizes = sizes;
    this.scope = scope;
    this.#readers = new Readers(this);
    this.#working = new Budget({ capacityBytes: sizes.batchCount * sizes.slabBytes });
    this.#packing = new Packing(pool);
    this.#lookahead = new Lookahead(pool, sizes);
    const { known, queries } = options;
    this.#asker = new Asker({ dedup, known, queries, lookahead: this.#lookahead });
    this.#sender = new XorbSender({
      consumer,
      journal,
      concurrency: options.sendConcurrency,
      goodput: options.goodput,
      scope,
      events: {
        onPacked: (xorb, bytes) => {
          dedup.setSerializedBytes(xorb.slot, bytes);
          tally.packed(xorb.slot, xorb.rawBytes, bytes);
        },
        onSent: (xorb, bytes) => tally.sent(xorb.slot, bytes),
        onAcknowledged: (xorb, inserted) => {
          if (!inserted) tally.knownXorbCount++;
          options.onAcknowledged(xorb);
          tally.acknowledged(xorb.slot);
        },
        onSettled: () => this.#relieve(),
        onFatal: options.onFatal,
      },
    });
    this.#stopListening = pool.onStarved(() => this.#relieve());
    scope.onEnd(() => this.#stop());
  }

  /** Queues a file. */
  add(file: FileTask): void {
    this.#readers.add(file);
  }

  /** Resolves when few files are waiting to be read; null: that is so. */
  ready(): Promise<void> | null {
    return this.#readers.ready();
  }

  /** No more files come. */
  endOfFiles(): void {
    this.#readers.end();
  }

  /**
   * Closes the last xorb and waits until all of them are packed: now it is known what is to be
   * registered. They may still be on their way. To be called when all files have settled.
   */
  async packed(): Promise<void> {
    this.#packing.dropGather();
    this.#close(this.#options.dedup.closeOpenXorb());
    await this.scope.race(this.#sender.packed());
  }

  /** Waits until all xorbs are acknowledged. To be called after {@link packed}. */
  async sent(): Promise<void> {
    await this.scope.race(this.#sender.idle());
    this.scope.check();
    this.#stopListening();
  }

  onRead(file: FileTask, bytes: number): void {
    this.#options.tally.read(file, bytes);
  }

  onEnd(file: FileTask): void {
    this.#options.tally.ended(file);
  }

  readonly onFatal = (error: unknown): void => this.#options.onFatal(error);

  /** `read → chunk → join → ask → place → pack → send`, for the slabs of one lane. */
  createLane(): Lane {
    const { scope } = this;
    const limit = Number.POSITIVE_INFINITY;
    const lane: AskingLane = { responses: Promise.resolve() };
    /** The unfinished chunk between two slabs. */
    const tail = new Uint8Array(DEFAULT_PARAMS.maxBytes);
    const place = ordered<Batch, void>({
      scope,
      limit,
      run: (batch) => this.#unhurried(batch, lane),
      commit: (_, batch) => this.#place(batch),
    });
    const ask = ordered<Batch, void>({
      scope,
      limit,
      run: (batch) =>
        this.#guard(batch, () => hashSeams(batch, this)).finally(() => batch.working?.release()),
      commit: async (_, batch) => {
        await this.#guard(batch, () => this.#asker.ask(lane, batch));
        await place.push(batch);
      },
    });
    const join = ordered<Batch, readonly SegmentChunks[] | undefined>({
      scope,
      limit,
      run: (batch) => this.#guard(batch, () => chunkBatch(batch, this)),
      commit: async (found, batch) => {
        await this.#guard(batch, () => found && batch.join(found, tail));
        await ask.push(batch);
      },
    });
    return new Lane(this, async (batch) => {
      // When the session ends, what is in here is given back.
      this.#batches.add(batch);
      if (scope.ended) batch.release();
      batch.working = await this.#working.acquire(this.sizes.slabBytes, scope);
      await this.#guard(batch, () => this.#digest(batch));
      await join.push(batch);
    });
  }

  /** What goes wrong with a batch is the fault of the files in it: other batches go on. */
  async #guard<T>(batch: Batch, work: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      for (const { file } of batch.segments) file.fail(error);
      return undefined;
    }
  }

  /**
   * SHA-256 of files that go on in other slabs, which takes them in the order of these calls. The slab
   * counts as used until that is done.
   */
  #digest(batch: Batch): void {
    for (const { file, start, end, fileOffset, isLast } of batch.segments) {
      if (file.sha256.kind !== 'compute' || file.error !== null || start === end) continue;
      if (fileOffset === 0 && isLast) continue;
      file.sha256Stream ??= this.pool.createSha256();
      const stream = file.sha256Stream;
      batch
        .use((slab) => stream.update(slab, start, end))
        .catch((error: unknown) => file.fail(error));
    }
  }

  /** Resolves when what follows was asked for, responses are there, and nobody reads the slab. */
  async #unhurried(batch: Batch, lane: AskingLane): Promise<void> {
    if (this.#options.queries?.isPatient === true) await this.#lookahead.turn(batch);
    // Responses to what was asked further on are worth as much as those to its own questions.
    await lane.responses;
    await batch.unused();
  }

  /** Places a batch and starts packing, which takes the slab over. */
  #place(batch: Batch): void {
    const { dedup, tally } = this.#options;
    this.#batches.delete(batch);
    try {
      const slab = batch.take();
      try {
        const { groups, closed, found, newBytes, knownBytes, failure } = placeBatch(dedup, batch);
        for (const file of found) this.#lookahead.found(file);
        const pieces = this.#packing.pack(slab.move(), batch, groups);
        for (let i = 0; i < groups.length; i++) {
          this.#sender.add((groups[i] as NewChunks).slot, pieces[i] as Promise<Piece>);
        }
        for (const xorb of closed) this.#close(xorb);
        // An index that threw half-way knows chunks whose records nobody makes.
        if (failure !== undefined) throw failure;
        tally.newBytes += newBytes;
        tally.dedupedBytes += knownBytes;
        tally.tell();
      } finally {
        slab.release();
      }
    } catch (error) {
      this.#options.onFatal(error);
    } finally {
      batch.release();
    }
    for (const { file, isLast } of batch.segments) {
      if (isLast && file.error === null) this.#options.onPlaced(file);
    }
    this.#options.onGrown();
    this.#relieve();
  }

  #close(xorb: ClosedXorb | null): void {
    if (xorb === null) return;
    this.#packing.closed(xorb.slot);
    this.#sender.close(xorb);
  }

  /**
   * Somebody waits for memory, nothing is on its way that would free some: then it is the open
   * xorb that holds it. Closed early, it is smaller than it could be, but it gets sent.
   */
  #relieve(): void {
    if (this.scope.ended || this.pool.waiting === 0) return;
    this.#lookahead.releaseAll();
    if (this.#batches.size > 0 || this.#sender.activeCount > 0) return;
    this.#packing.dropGather();
    this.#close(this.#options.dedup.closeOpenXorb());
  }

  /** The session is over: gives everything back. What a running task or read holds follows later. */
  #stop(): void {
    this.#stopListening();
    this.#packing.dropGather();
    this.#lookahead.releaseAll();
    for (const batch of this.#batches) batch.release();
    this.#batches.clear();
  }
}
