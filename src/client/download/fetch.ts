import { type OrderedStage, type Owned, ordered, type Scope } from '../../flow/index.js';
import type { PlannedFetch } from '../../plan/index.js';
import type { ComputePool, DecodeResult, RangeReader, RangeSource } from '../ports.js';
import { decodeRuns } from './decode.js';
import type { Demand } from './demand.js';
import { isDataFault, isExpiredUrl, isRangeRefusal, isWorkerLoss } from './faults.js';
import type { FlushRule } from './flush-rule.js';
import type { PairSource, SlabPair } from './pairs.js';
import { RangeLayout } from './range-layout.js';
import { type RecordRun, RecordWalker } from './record-walker.js';
import type { UrlBook } from './url-book.js';

/** What all fetches of one block share. */
export interface FetchContext {
  readonly cas: RangeSource;
  readonly pool: ComputePool;
  readonly pairs: PairSource;
  readonly urls: UrlBook;
  readonly scope: Scope;
  /** Is told how fast connections are against the process; null: nobody wants to know. */
  readonly demand: Demand | null;
  /** Says when the records in a slab are passed on although there is room for more; null: never. */
  readonly flush: FlushRule | null;
  /** Checks and notes decoded runs, in this order for each range, before their bytes go anywhere. */
  readonly onDecoded: (runs: readonly RecordRun[], decoded: DecodeResult) => void;
  /** Takes the pair with the bytes of the runs. */
  readonly deliver: (
    pair: Owned<SlabPair>,
    runs: readonly RecordRun[],
    decoded: DecodeResult,
  ) => void;
  readonly onRequest: () => void;
  /** The server asked for fewer requests. */
  readonly onRefused: () => void;
  readonly onFetched: (bytes: number) => void;
}

/** A URL that expires this often for one fetch is not a matter of time. */
const MAX_RENEWALS = 3;

/** Damaged bytes are fetched once more, in case they were damaged on the way. */
const MAX_REFETCHES = 1;

/**
 * The most that comes into a slab before its headers are looked at again. Bytes behind a record
 * that does not fit any more are moved to the next slab, so this is also the most that is moved.
 */
const STEP_BYTES: number = 1 << 18;

/** The widest word that engines copy at a time. */
export const WORD_BYTES = 8;

/**
 * Fetches the ranges of one request, decodes what is used of them and delivers it. What was delivered
 * before a failure is not decoded again.
 *
 * @throws OrbweaverError what the last attempt failed with
 */
export async function runFetch(
  fetch: PlannedFetch,
  window: number,
  context: FetchContext,
): Promise<void> {
  const layouts = fetch.ranges.map((_, index) => new RangeLayout(fetch, index));
  let renewals = 0;
  let refetches = 0;
  let together = true;
  for (;;) {
    const open = layouts.filter((layout) => !layout.done);
    if (open.length === 0) return;
    const { url, generation } = context.urls.current(fetch);
    const asked = together ? open : open.slice(0, 1);
    try {
      await new Attempt({ fetch, layouts: asked, window, context }).run(url);
    } catch (error) {
      context.scope.check();
      if (isExpiredUrl(error) && renewals < MAX_RENEWALS) {
        renewals++;
        await context.scope.race(context.urls.renew(generation));
      } else if (isRangeRefusal(error) && asked.length > 1) {
        together = false;
      } else if ((isDataFault(error) || isWorkerLoss(error)) && refetches < MAX_REFETCHES) {
        refetches++;
      } else throw error;
    }
  }
}

/** A slab full of whole records, on its way through the decoder. */
interface Batch {
  readonly pair: Owned<SlabPair>;
  readonly runs: readonly RecordRun[];
}

/** What an attempt is for. */
interface Job {
  readonly fetch: PlannedFetch;
  /** Of the ranges that are asked for. */
  readonly layouts: readonly RangeLayout[];
  readonly window: number;
  readonly context: FetchContext;
}

/**
 * One request for some ranges, from the first byte to the last decoded chunk:
 *
 *     reader.fill ─► input slab ─► walk headers ─► slab full ─► decode ─► deliver, in order
 *                        ▲                             │
 *                        └── start of the next record ─┘
 *
 * A class, because its steps share the slab that is being filled.
 */
class Attempt {
  readonly #job: Job;
  readonly #scope: Scope;
  readonly #decoding: OrderedStage<Batch>;

  #pair: Owned<SlabPair> | null = null;
  #walker: RecordWalker;
  /** End of the bytes in the input slab. */
  #filled = 0;
  /**
   * The start of a record whose rest comes into the next slab, at the same place within a word: so it
   * is copied by words, both times.
   */
  #carry: Uint8Array = new Uint8Array(0);
  /** Where it lies: one memory for all records that are cut in two. */
  #carried: Uint8Array = new Uint8Array(0);
  /** Index into the layouts of the range that is being received. */
  #at = 0;
  #chunk: number;
  #received = 0;
  /** When the slab was taken. */
  #slabSince = 0;

  constructor(job: Job) {
    const { pool, scope, flush, onDecoded, deliver } = job.context;
    this.#job = job;
    this.#scope = scope.child();
    this.#walker = new RecordWalker(pool.slabBytes);
    this.#chunk = this.#layout.chunkStart;
    for (const layout of job.layouts) layout.restart();
    this.#decoding = ordered<Batch, DecodeResult>({
      scope: this.#scope,
      limit: flush === null ? pool.slabCount : pool.threads + 1,
      run: ({ pair, runs }) => decodeRuns(pool, pair.value, runs),
      commit: (decoded, { pair, runs }) => {
        onDecoded(runs, decoded);
        for (const run of runs) run.layout.settle(run.chunkStart, run.chunkEnd);
        deliver(pair.move(), runs, decoded);
      },
    });
  }

  /** @throws OrbweaverError the first failure; then no slab of this attempt is in use any more */
  async run(url: string): Promise<void> {
    try {
      await this.#scope.run(async () => {
        await this.#receive(url);
        await this.#flush();
        await this.#decoding.drain();
      });
    } finally {
      this.#job.context.demand?.left(this);
      this.#pair?.release();
    }
  }

  get #layout(): RangeLayout {
    return this.#job.layouts[this.#at] as RangeLayout;
  }

  async #receive(url: string): Promise<void> {
    const { cas, onRequest, onRefused } = this.#job.context;
    // Memory first: no connection waits for a slab.
    if (this.#pair === null) await this.#nextPair();
    const ranges = this.#job.layouts.map(({ rangeIndex }) => {
      const { byteStart, byteEnd } = this.#job.fetch.ranges[
        rangeIndex
      ] as PlannedFetch['ranges'][number];
      return { start: byteStart, end: byteEnd };
    });
    const reader = cas.readRanges(url, ranges, { onRequest, onRefused });
    const forget = this.#scope.onEnd(() => reader.cancel());
    try {
      for (;;) {
        // Behind the last byte no slab is needed to see that there is nothing more.
        const isComplete = this.#isComplete;
        if (!isComplete && this.#pair === null) await this.#nextPair();
        const count = await this.#fill(reader, isComplete ? new Uint8Array(1) : this.#space());
        if (count === 0) break;
        if (this.#take(reader.rangeIndex, count)) await this.#flush();
      }
    } finally {
      forget();
      reader.cancel();
    }
    this.#endRange();
    if (this.#at < this.#job.layouts.length - 1) this.#missing(this.#job.layouts[this.#at + 1]);
  }

  get #isComplete(): boolean {
    return (
      this.#at === this.#job.layouts.length - 1 &&
      this.#received === this.#layout.storedBytes &&
      this.#carry.length === 0
    );
  }

  /** The reader may still write when the attempt is over: it borrows the slab until it has settled. */
  #fill(reader: RangeReader, into: Uint8Array): Promise<number> {
    const { demand } = this.#job.context;
    const scope = this.#scope;
    const done = this.#pair?.borrow();
    demand?.asked(this);
    // One promise for all of it: this happens for each 100 KiB.
    return new Promise((resolve, reject) => {
      const forget = scope.onEnd(() => reject(scope.reason));
      const settle = (count: number): void => {
        forget();
        done?.();
        if (!scope.ended) demand?.answered(this, count, into.length);
      };
      reader.fill(into).then(
        (count) => {
          settle(count);
          resolve(count);
        },
        (error: unknown) => {
          settle(0);
          reject(error);
        },
      );
    });
  }

  /** Where the next bytes go: the rest of the slab, or a step of it. */
  #space(): Uint8Array {
    const { bytes } = (this.#pair as Owned<SlabPair>).value.input;
    return bytes.subarray(this.#filled, this.#filled + STEP_BYTES);
  }

  /** Takes a slab, and walks what the last one left. */
  async #nextPair(): Promise<void> {
    while (this.#pair === null) {
      this.#pair = await this.#takePair();
      if (this.#walk()) await this.#flush();
    }
  }

  /**
   * The next `count` bytes of the range with this index in the request lie in the slab.
   * @returns whether its records are passed on now
   */
  #take(rangeIndex: number, count: number): boolean {
    this.#job.context.onFetched(count);
    while (this.#at < rangeIndex) {
      this.#endRange();
      if (this.#at + 1 >= this.#job.layouts.length) this.#outOfOrder(rangeIndex);
      this.#at++;
      this.#chunk = this.#layout.chunkStart;
      this.#received = 0;
    }
    if (rangeIndex !== this.#at) this.#outOfOrder(rangeIndex);
    this.#received += count;
    const layout = this.#layout;
    if (this.#received > layout.storedBytes) {
      throw layout.fault('SIZE_MISMATCH', `${layout.storedBytes} bytes of a range, got more`);
    }
    this.#filled += count;
    return this.#walk();
  }

  /** @returns whether the records of the slab are passed on now */
  #walk(): boolean {
    const { bytes } = (this.#pair as Owned<SlabPair>).value.input;
    const { chunk, full } = this.#walker.walk(this.#layout, bytes, this.#filled, this.#chunk);
    this.#chunk = chunk;
    return full || this.#isDue();
  }

  #isDue(): boolean {
    const { runs, position } = this.#walker;
    if (runs.length === 0) return false;
    return this.#job.context.flush?.isDue(position, this.#slabSince) ?? false;
  }

  /** Gives the records in the slab to the decoder; an unfinished one waits for the next slab. */
  async #flush(): Promise<void> {
    const pair = this.#pair;
    if (pair === null) return;
    const walker = this.#walker;
    const slab = pair.value.input.bytes;
    const inWord = walker.position % WORD_BYTES;
    const rest = slab.subarray(walker.position, this.#filled);
    this.#walker = new RecordWalker(this.#job.context.pool.slabBytes, inWord);
    if (walker.runs.length === 0) {
      // Nothing in here was wanted: the same slab again.
      this.#filled = inWord + rest.length;
      slab.copyWithin(inWord, walker.position, walker.position + rest.length);
      return;
    }
    // Copied out, because the slab may be the only one there is.
    const carryEnd = inWord + rest.length;
    if (this.#carried.length < carryEnd) this.#carried = new Uint8Array(2 * carryEnd);
    this.#carry = this.#carried.subarray(inWord, carryEnd);
    this.#carry.set(rest);
    this.#filled = 0;
    this.#pair = null;
    const batch: Batch = { pair: pair.move(), runs: walker.runs };
    // What nobody has delivered when the attempt fails goes back.
    this.#scope.onEnd(() => batch.pair.release());
    await this.#decoding.push(batch);
  }

  async #takePair(): Promise<Owned<SlabPair>> {
    const pair = await this.#job.context.pairs.acquire(this.#job.window);
    if (this.#scope.ended) pair.release();
    this.#scope.check();
    this.#slabSince = this.#job.context.flush?.now() ?? 0;
    pair.value.input.bytes.set(this.#carry, this.#walker.position);
    this.#filled = this.#walker.position + this.#carry.length;
    this.#carry = new Uint8Array(0);
    return pair;
  }

  /** The range in progress must be complete. */
  #endRange(): void {
    const layout = this.#layout;
    if (this.#chunk === layout.chunkEnd) return;
    if (this.#received < layout.storedBytes) this.#missing(layout);
    throw layout.fault(
      'TRUNCATED',
      `${layout.chunkEnd - layout.chunkStart} chunks in a range, got ${this.#chunk - layout.chunkStart}`,
      { chunk: this.#chunk },
    );
  }

  #missing(layout: RangeLayout | undefined): never {
    const missing = layout ?? this.#layout;
    const got = missing === this.#layout ? this.#received : 0;
    throw missing.fault('TRUNCATED', `${missing.storedBytes} bytes of a range, got ${got}`, {
      chunk: missing === this.#layout ? this.#chunk : missing.chunkStart,
    });
  }

  #outOfOrder(rangeIndex: number): never {
    throw this.#layout.fault('FORMAT_INVALID', `range ${this.#at}, got range ${rangeIndex}`);
  }
}
