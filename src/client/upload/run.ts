import { hexEncode } from '../../bytes/index.js';
import type { ClosedXorb, DedupSession } from '../../dedup/index.js';
import { isOrbweaverError, OrbweaverError } from '../../errors.js';
import { HASH_BYTES } from '../../hash/index.js';
import type { CasClient, ComputePool } from '../ports.js';
import type { Batch, Segment } from './batch.js';
import { type CancelScope, Semaphore } from './cancel.js';
import { errorOf } from './file-error.js';
import type { FileTask } from './file-task.js';
import type { Lane } from './lane.js';
import { Lookahead } from './lookahead.js';
import { type NewChunks, Packing, type Piece } from './pieces.js';
import { placeBatch } from './placing.js';
import type { GlobalQueries } from './queries.js';
import { Readers, type ReadersHost } from './readers.js';
import { XorbSender } from './sender.js';
import type { UploadSizes } from './sizes.js';
import type { Tally } from './tally.js';

/** What a run works with. */
export interface UploadRunOptions {
  /** Where xorbs go; null: nowhere. */
  readonly cas: CasClient | null;
  /** Null: nobody is asked. */
  readonly queries: GlobalQueries | null;
  readonly pool: ComputePool;
  readonly dedup: DedupSession;
  readonly sizes: UploadSizes;
  readonly sendConcurrency: number;
  readonly tally: Tally;
  readonly scope: CancelScope;
  /** Ends the session, `scope` included. */
  readonly onFatal: (error: Error) => void;
}

/** Where questions about segments go, and what they are made of. */
interface Asking {
  readonly queries: GlobalQueries;
  readonly batch: Batch;
  readonly hashes: Uint8Array;
  /** Gets what settles with each answer. */
  readonly answers: Promise<void>[];
}

/**
 * Moves files from sources to acknowledged xorbs. Stages of one slab, each on its own slab at the
 * same time as the others:
 *
 *     read ─► chunk, SHA-256 ─► join ─► ask ─► place ─► pack ─► (xorb closed) send ─► free
 *     lane    pool              here    cas    here     pool    sender
 *
 * Segments are joined and chunks placed in the order of each lane; the rest overlaps freely. Why it
 * cannot lock up, however little memory there is: nobody who holds a slab waits for another one in
 * order to get on with it. Lanes wait for slabs with empty hands (the unfinished chunk of the former slab is
 * copied out), what is in the stages needs no more memory, and when everything stands still because
 * the open xorb holds all slabs, it is closed early and sent.
 */
export class UploadRun implements ReadersHost {
  readonly pool: ComputePool;
  readonly sizes: UploadSizes;
  readonly scope: CancelScope;
  readonly #options: UploadRunOptions;
  readonly #readers: Readers;
  readonly #room: Semaphore;
  readonly #packing: Packing;
  readonly #sender: XorbSender;
  readonly #lookahead: Lookahead;
  readonly #stopListening: () => void;
  #processing = 0;

  constructor(options: UploadRunOptions) {
    const { pool, sizes, scope, cas, dedup, tally } = options;
    this.#options = options;
    this.pool = pool;
    this.sizes = sizes;
    this.scope = scope;
    this.#readers = new Readers(this);
    this.#room = new Semaphore(sizes.batchCount);
    this.#packing = new Packing(pool);
    this.#lookahead = new Lookahead(pool, sizes);
    this.#sender = new XorbSender({
      cas,
      concurrency: options.sendConcurrency,
      scope,
      events: {
        onPacked: (xorb, bytes) => {
          dedup.setSerializedBytes(xorb.slot, bytes);
          tally.toSendBytes += bytes;
        },
        onSent: (bytes) => {
          tally.sentBytes += bytes;
          tally.tell();
        },
        onAcknowledged: (xorb, bytes, inserted) => this.#acknowledged(xorb, bytes, inserted),
        onSettled: () => this.#relieve(),
        onFatal: options.onFatal,
      },
    });
    this.#stopListening = pool.onStarved(() => this.#relieve());
    scope.onAbort(() => this.#stop());
  }

  /** Queues a file. Its `done` settles later. */
  add(file: FileTask): void {
    if (this.scope.aborted) {
      file.fail(this.scope.error);
      return;
    }
    this.#readers.add(file);
  }

  /**
   * Waits until all files are placed or failed, closes the last xorb and waits until all of them are
   * packed: now it is known what is to be registered. They may still be on their way.
   */
  async finish(files: readonly FileTask[]): Promise<void> {
    this.#readers.end();
    for (const file of files) {
      if (!file.isSettled) await this.scope.abortable(file.whenDone().catch(() => undefined));
    }
    this.#packing.dropGather();
    const last = this.#options.dedup.closeOpenXorb();
    if (last !== null) this.#sender.close(last);
    await this.scope.abortable(this.#sender.packed());
  }

  /** Waits until all xorbs are acknowledged. To be called after {@link finish}. */
  async sent(): Promise<void> {
    await this.scope.abortable(this.#sender.idle());
    this.scope.check();
    this.#stopListening();
  }

  onRead(_file: FileTask, bytes: number): void {
    this.#options.tally.readBytes += bytes;
    this.#options.tally.tell();
  }

  onEnd(file: FileTask): void {
    this.#options.tally.ended(file);
  }

  async submit(lane: Lane, batch: Batch): Promise<void> {
    try {
      await this.#room.enter(this.scope);
    } catch (error) {
      batch.slab.release();
      throw error;
    }
    const previous = lane.previous;
    lane.previous = batch;
    this.#processing++;
    void this.#process(lane, batch, previous).finally(() => {
      this.#processing--;
      this.#relieve();
    });
  }

  /** All stages of one slab. Never rejects: what goes wrong is the fault of the files in it. */
  async #process(lane: Lane, batch: Batch, previous: Batch | null): Promise<void> {
    let owned = true;
    try {
      const hashes = await this.#compute(lane, batch, previous).finally(() => this.#room.leave());
      await previous?.asked.promise;
      this.#ask(lane, batch, hashes);
      batch.asked.resolve();
      if (this.#options.queries?.isPatient === true) await this.#lookahead.turn(batch);
      // Answers to what was asked further on are worth as much as those to its own questions.
      await lane.answers;
      await previous?.placed.promise;
      this.scope.check();
      owned = false;
      this.#place(batch, hashes);
    } catch (error) {
      for (const { file } of batch.segments) file.fail(errorOf(error));
      if (owned) batch.slab.release();
    }
    // The next batch of the lane goes on in any case; a file that failed is skipped there.
    batch.resolved.resolve();
    batch.asked.resolve();
    batch.placed.resolve();
    for (const { file, isLast } of batch.segments) {
      if (isLast && file.error === null) this.#finishFile(file);
    }
  }

  /** Cuts and chunk hashes of a slab, 32 bytes each. */
  async #compute(lane: Lane, batch: Batch, previous: Batch | null): Promise<Uint8Array> {
    // Not later than this call: the SHA-256 of a file takes its slabs in the order of the lane.
    const digesting = this.#digest(batch);
    const found = await this.#again(() => this.pool.chunk(batch.slab, batch.slabSegments()));
    // Without shared memory the slab is away while it is digested.
    if (!this.pool.sharedMemory) await digesting;
    await previous?.resolved.promise;
    this.scope.check();
    batch.resolve(found, lane.tail);
    batch.resolved.resolve();
    const hashes = await this.#hashSeams(batch);
    batch.segments.forEach(({ file }, i) => {
      file.digest ??= found[i]?.sha256 ?? null;
    });
    // Everybody has to let go of the slab before records overwrite it.
    await digesting;
    return hashes;
  }

  /** Hashes of all chunks, 32 bytes each; what is missing are those at the seams. */
  async #hashSeams(batch: Batch): Promise<Uint8Array> {
    const { slab, starts, lengths, hashes, seams } = batch;
    if (seams.length === 0) return hashes;
    const seamStarts = seams.map((chunk) => starts[chunk] as number);
    const seamLengths = seams.map((chunk) => lengths[chunk] as number);
    const found = await this.#again(() => this.pool.hash(slab, seamStarts, seamLengths));
    seams.forEach((chunk, i) => {
      hashes.set(found.subarray(HASH_BYTES * i, HASH_BYTES * (i + 1)), HASH_BYTES * chunk);
    });
    return hashes;
  }

  /** SHA-256 of files that go on in other slabs. Settles when none of them needs the slab any more. */
  async #digest(batch: Batch): Promise<void> {
    const work: Promise<void>[] = [];
    for (const { file, start, end, fileOffset, isLast } of batch.segments) {
      if (file.sha256.kind !== 'compute' || file.error !== null || start === end) continue;
      if (fileOffset === 0 && isLast) continue;
      file.sha256Stream ??= this.pool.createSha256();
      const update = file.sha256Stream.update(batch.slab, start, end);
      work.push(update.catch((error: unknown) => file.fail(errorOf(error))));
    }
    await Promise.all(work);
  }

  /** A task that only reads may be repeated when its worker died; the bytes are still there. */
  async #again<T>(task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } catch (error) {
      const died = isOrbweaverError(error) && error.code === 'WORKER_FAILED';
      if (!died || !this.pool.sharedMemory || this.scope.aborted) throw error;
      return task();
    }
  }

  /** Asks for chunks of a batch, in the order of the lane. */
  #ask(lane: Lane, batch: Batch, hashes: Uint8Array): void {
    const { queries } = this.#options;
    if (queries === null) return;
    const answers: Promise<void>[] = [];
    const putOff: Segment[] = [];
    for (const segment of batch.segments) {
      const isWhole = segment.isLast && segment.fileOffset === 0;
      const turn = isWhole ? queries.turnOf(segment.end - segment.start) : 'now';
      if (turn === 'now') this.#askFor(segment, { queries, batch, hashes, answers });
      else if (turn === 'later') putOff.push(segment);
    }
    this.#lookahead.asked(batch);
    if (answers.length === 0 && putOff.length === 0) return;
    const before = lane.answers;
    lane.answers = (async () => {
      await queries.wait(putOff.length === 0 ? answers : queries.open);
      if (putOff.length > 0) {
        const more: Promise<void>[] = [];
        for (const segment of putOff) {
          if (queries.turnOf(segment.end - segment.start) === 'never') continue;
          this.#askFor(segment, { queries, batch, hashes, answers: more });
        }
        await queries.wait(more);
      }
      await before;
    })();
  }

  #askFor(segment: Segment, { queries, batch, hashes, answers }: Asking): void {
    const { dedup } = this.#options;
    const { file, chunkStart, chunkEnd } = segment;
    if (file.error !== null || chunkStart === chunkEnd) return;
    file.handle ??= dedup.openFile();
    const part = hashes.subarray(HASH_BYTES * chunkStart, HASH_BYTES * chunkEnd);
    const lengths = batch.lengths.subarray(chunkStart, chunkEnd);
    const indices = dedup.queriesFor(file.handle, part, lengths);
    if (indices.length > 0) queries.ask(part, indices, answers);
  }

  /** Places a batch and starts packing. From here on the slab belongs to the packing. */
  #place(batch: Batch, hashes: Uint8Array): void {
    const { dedup, tally } = this.#options;
    const placed = placeBatch(dedup, batch, hashes);
    const { groups, closed, found, newBytes, knownBytes, failure } = placed;
    for (const file of found) this.#lookahead.found(file);
    const pieces = this.#packing.pack(batch, groups);
    for (let i = 0; i < groups.length; i++) {
      this.#sender.add((groups[i] as NewChunks).slot, pieces[i] as Promise<Piece>);
    }
    for (const xorb of closed) this.#sender.close(xorb);
    // An index that threw half-way knows chunks whose records nobody makes.
    if (failure !== null) this.#options.onFatal(failure);
    tally.newBytes += newBytes;
    tally.dedupedBytes += knownBytes;
    tally.tell();
  }

  #finishFile(file: FileTask): void {
    const needsDigest = file.sha256.kind !== 'none' && file.digest === null;
    if (file.isRead && !needsDigest) {
      this.#register(file, file.digest);
      return;
    }
    Promise.all([this.#digestOf(file), file.whenRead()]).then(
      ([digest]) => this.#register(file, digest),
      (error: unknown) => file.fail(errorOf(error)),
    );
  }

  /** The file is read and placed: notes what it is made of. */
  #register(file: FileTask, digest: Uint8Array | null): void {
    const { dedup, tally } = this.#options;
    try {
      this.scope.check();
      const handle = file.handle ?? dedup.openFile();
      const summary = dedup.finishFile(handle, digest ?? undefined);
      file.handle = null;
      if (summary.sizeBytes !== file.readBytes) {
        throw new OrbweaverError(
          'INTERNAL',
          `chunks of "${file.source.name}" expected ${file.readBytes} bytes, got ${summary.sizeBytes}`,
        );
      }
      file.finish({
        name: file.source.name,
        sizeBytes: summary.sizeBytes,
        fileHash: summary.fileHash,
        sha256: digest === null ? null : hexEncode(digest),
        chunkCount: summary.chunkCount,
        termCount: summary.termCount,
        newBytes: summary.newBytes,
        dedupedBytes: summary.dedupedBytes,
        sessionBytes: summary.sessionBytes,
        localBytes: summary.localBytes,
        globalBytes: summary.globalBytes,
      });
      tally.done();
    } catch (error) {
      file.fail(errorOf(error));
    }
  }

  async #digestOf(file: FileTask): Promise<Uint8Array | null> {
    if (file.sha256.kind === 'none' || file.digest !== null) return file.digest;
    file.sha256Stream ??= this.pool.createSha256();
    return file.sha256Stream.digest();
  }

  #acknowledged(xorb: ClosedXorb, bytes: number, inserted: boolean): void {
    const { tally } = this.#options;
    tally.acknowledged.add(xorb.hash.toString());
    tally.xorbCount++;
    tally.xorbBytes += bytes;
    if (!inserted) tally.knownXorbCount++;
    tally.tell();
  }

  /**
   * Somebody waits for memory, nothing is on its way that would free some: then it is the open
   * xorb that holds it. Closed early, it is smaller than it could be, but it gets sent.
   */
  #relieve(): void {
    if (this.scope.aborted || this.pool.waiting === 0) return;
    this.#lookahead.releaseAll();
    if (this.#processing > 0 || this.#sender.activeCount > 0) return;
    this.#packing.dropGather();
    const closed = this.#options.dedup.closeOpenXorb();
    if (closed !== null) this.#sender.close(closed);
  }

  /** The session is over: give everything back. What a running task or read holds follows later. */
  #stop(): void {
    this.#stopListening();
    this.#packing.dropGather();
    this.#sender.drop();
    this.#lookahead.releaseAll();
    this.#readers.drop();
  }
}
