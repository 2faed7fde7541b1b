import { OrbweaverError } from '../../errors.js';
import type { PlannedFetch } from '../../plan/index.js';
import type { ByteRange, CasClient, ComputePool, DecodeResult, RangeReceiver } from '../ports.js';
import { decodeRuns, recordRuns } from './batch.js';
import type { Cancellation } from './cancellation.js';
import type { ChunkLedger } from './chunk-ledger.js';
import { isDataFault, isExpiredUrl, isRangeRefusal } from './faults.js';
import { landingsOf, sliceOf } from './landings.js';
import type { OutputWriter } from './output-writer.js';
import { RangeLayout, RecordWalker } from './record-stream.js';
import { type SlabCopy, WORD_BYTES } from './slab-copy.js';
import type { PairSource, SlabPair } from './slab-pairs.js';
import type { UrlBook } from './url-book.js';

/** What all fetches of one reconstruction answer share. */
export interface FetchContext {
  readonly cas: CasClient;
  readonly pool: ComputePool;
  readonly pairs: PairSource;
  readonly writer: OutputWriter;
  /** Null for a byte range of a file: it carries no hashes. */
  readonly ledger: ChunkLedger | null;
  readonly urls: UrlBook;
  /** For pieces of at most {@link STEP_BYTES}. */
  readonly copy: SlabCopy;
  readonly cancellation: Cancellation;
  readonly onRequest: () => void;
  readonly onFetched: (bytes: number) => void;
  /**
   * Told of work that goes on after the fetch is over: a slab that waits for the sink. It rejects
   * when the sink fails.
   */
  readonly onBackground: (work: Promise<void>) => void;
}

/** A URL that expires this often for one fetch is not a matter of time. */
const MAX_RENEWALS = 3;

/** Damaged bytes are fetched once more, in case they were damaged on the way. */
const MAX_REFETCHES = 1;

/**
 * The most that comes into a slab before its headers are looked at again. Bytes behind a record
 * that finds no room any more are moved to the next slab, so this is also the most that is moved.
 */
export const STEP_BYTES: number = 1 << 18;

/**
 * Fetches the ranges of one request, decodes what is used of them and hands it to the writer.
 * Resolves when everything has been decoded; writing goes on in the background.
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
    const request = together ? open : open.slice(0, 1);
    try {
      await new Attempt(fetch, request, window, context).run(url);
    } catch (error) {
      if (context.cancellation.cancelled) throw error;
      if (isExpiredUrl(error) && renewals < MAX_RENEWALS) {
        renewals++;
        await context.cancellation.race(context.urls.renew(generation));
      } else if (isRangeRefusal(error) && request.length > 1) {
        together = false;
      } else if (isDataFault(error) && refetches < MAX_REFETCHES) {
        refetches++;
      } else throw error;
    }
  }
}

/** One request for some ranges, from the first byte to the last decoded chunk. */
class Attempt implements RangeReceiver {
  readonly #fetch: PlannedFetch;
  readonly #layouts: readonly RangeLayout[];
  readonly #window: number;
  readonly #context: FetchContext;
  readonly #decoding = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;
  /** Nothing may be written into slabs any more. */
  #ended = false;

  #pair: SlabPair | undefined;
  #walker: RecordWalker;
  /** End of the bytes in the input slab. */
  #filled = 0;
  /**
   * The start of a record whose rest comes into the next slab, at the same place within a word: so it
   * is copied by words, both times.
   */
  #carry: Uint8Array = new Uint8Array(0);
  /** Index into `#layouts` of the range that is being received. */
  #at = 0;
  #chunk: number;
  #received = 0;

  constructor(
    fetch: PlannedFetch,
    layouts: readonly RangeLayout[],
    window: number,
    context: FetchContext,
  ) {
    this.#fetch = fetch;
    this.#layouts = layouts;
    this.#window = window;
    this.#context = context;
    this.#walker = new RecordWalker(context.pool.slabBytes);
    this.#chunk = this.#layout.chunkStart;
    for (const layout of layouts) layout.restart();
  }

  async run(url: string): Promise<void> {
    try {
      await this.#receive(url);
      this.#flush();
    } catch (error) {
      this.#failure ??= { error };
    } finally {
      this.#ended = true;
      this.#pair?.release();
      this.#pair = undefined;
    }
    while (this.#decoding.size > 0) await Promise.all(this.#decoding);
    if (this.#failure !== undefined) throw this.#failure.error;
  }

  get #layout(): RangeLayout {
    return this.#layouts[this.#at] as RangeLayout;
  }

  async #receive(url: string): Promise<void> {
    const { cancellation, onRequest } = this.#context;
    // Memory first: no connection waits for a slab.
    await this.ready();
    const ranges = this.#layouts.map((layout) => {
      const { byteStart, byteEnd } = this.#fetch.ranges[layout.rangeIndex] as {
        byteStart: number;
        byteEnd: number;
      };
      return { start: byteStart, end: byteEnd };
    });
    onRequest();
    const controller = new AbortController();
    const removeListener = cancellation.onCancel(() => controller.abort(cancellation.reason));
    try {
      const skipBytes = await this.#receiveDirectly(url, ranges, controller.signal);
      if (skipBytes < this.#layout.storedBytes || ranges.length > 1) {
        await this.#receiveParts(url, ranges, controller.signal, skipBytes);
      }
    } finally {
      removeListener();
    }
    // What a full slab left over may hold whole records.
    while (this.#carry.length > 0) await this.ready();
    this.#endRange();
    if (this.#at < this.#layouts.length - 1) this.#missing(this.#layouts[this.#at + 1]);
  }

  /** Has one range read into the slabs by the system; returns the bytes that came. */
  async #receiveDirectly(
    url: string,
    ranges: readonly ByteRange[],
    signal: AbortSignal,
  ): Promise<number> {
    const { cas, cancellation } = this.#context;
    const [only] = ranges;
    if (cas.receiveRange === undefined || only === undefined || ranges.length > 1) return 0;
    return cancellation.race(cas.receiveRange(url, only, this, signal));
  }

  /** Copies what comes in buffers of others. */
  async #receiveParts(
    url: string,
    ranges: readonly ByteRange[],
    signal: AbortSignal,
    skipBytes: number,
  ): Promise<void> {
    const { cas, cancellation, copy } = this.#context;
    const parts = cas.fetchRanges(url, ranges, signal, skipBytes)[Symbol.asyncIterator]();
    let ended = false;
    try {
      for (;;) {
        const step = await cancellation.race(parts.next());
        if (step.done) {
          ended = true;
          return;
        }
        const { rangeIndex, bytes } = step.value;
        for (let taken = 0; taken < bytes.length; ) {
          const room = this.room();
          if (room === null) await this.ready();
          else {
            const count = Math.min(room.length, bytes.length - taken);
            copy(room, 0, bytes.subarray(taken, taken + count));
            taken += count;
            this.received(rangeIndex, count);
          }
        }
      }
    } finally {
      // Not awaited: a connection that hangs must not hold up the failure.
      if (!ended) void parts.return?.()?.catch(() => {});
    }
  }

  /** The rest of the slab, or a step of it. Null: the slab is being decoded, another is needed. */
  room(): Uint8Array | null {
    this.#throwIfOver();
    const slab = this.#pair?.input.bytes;
    if (slab === undefined || this.#carry.length > 0) return null;
    return slab.subarray(this.#filled, this.#filled + STEP_BYTES);
  }

  /** Takes a slab and walks over what the one before left. */
  async ready(): Promise<void> {
    do {
      this.#throwIfOver();
      const pair = this.#pair ?? (await this.#takePair());
      this.#walk(this.#layout, pair.input.bytes);
      this.#throwIfOver();
    } while (this.#pair === undefined);
  }

  /** The next `count` bytes of the range with this index in the request lie in the slab. */
  received(rangeIndex: number, count: number): void {
    this.#throwIfOver();
    this.#context.onFetched(count);
    while (this.#at < rangeIndex) {
      this.#endRange();
      if (this.#at + 1 >= this.#layouts.length) this.#outOfOrder(rangeIndex);
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
    const { input } = this.#pair as SlabPair;
    this.#filled += count;
    this.#walk(layout, input.bytes);
  }

  #throwIfOver(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
    if (this.#ended) throw new OrbweaverError('ABORTED', 'the range is not wanted any more');
  }

  #walk(layout: RangeLayout, slab: Uint8Array): void {
    const { chunk, full } = this.#walker.walk(layout, slab, this.#filled, this.#chunk);
    this.#chunk = chunk;
    if (full) this.#flush();
  }

  /** Gives the records in the slab to the decoder; an unfinished one waits for the next slab. */
  #flush(): void {
    const pair = this.#pair;
    if (pair === undefined) return;
    const walker = this.#walker;
    const slab = pair.input.bytes;
    const inWord = walker.position % WORD_BYTES;
    const rest = slab.subarray(walker.position, this.#filled);
    this.#walker = new RecordWalker(this.#context.pool.slabBytes, inWord);
    if (walker.runs.length === 0) {
      // Nothing in here was wanted: the same slab again.
      this.#filled = inWord + rest.length;
      slab.copyWithin(inWord, walker.position, walker.position + rest.length);
      return;
    }
    // Copied out, because the slab may be the only one there is.
    this.#carry = new Uint8Array(inWord + rest.length).subarray(inWord);
    this.#carry.set(rest);
    this.#filled = 0;
    this.#pair = undefined;
    const work = this.#process(pair, walker)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#decoding.delete(work));
    this.#decoding.add(work);
  }

  /**
   * Decodes, notes the hashes, and writes, unless the thread that decoded has done so; the slabs come
   * back when that is over.
   */
  async #process(pair: SlabPair, { runs }: RecordWalker): Promise<void> {
    const { pool, ledger, writer, cancellation, onBackground } = this.#context;
    const landings = runs.flatMap(landingsOf);
    // Where there are no threads, it is this one that a disk would keep waiting.
    const lent = pool.threads > 0 ? writer.lend?.(landings) : undefined;
    let decoded: DecodeResult;
    try {
      decoded = await decodeRuns(pool, pair, runs, lent?.rows);
    } catch (error) {
      pair.release();
      throw lent === undefined ? error : lent.failed(error);
    }
    try {
      lent?.written(decoded.writeMs);
      cancellation.throwIfCancelled();
      if (ledger !== null) recordRuns(ledger, runs, decoded);
      for (const run of runs) run.layout.settle(run.chunkStart, run.chunkEnd);
    } catch (error) {
      pair.release();
      throw error;
    }
    if (lent !== undefined) {
      pair.release();
      return;
    }
    const slices = landings.map((landing) => sliceOf(landing, pair));
    onBackground(writer.write(slices, !pair.reserved).finally(() => pair.release()));
  }

  async #takePair(): Promise<SlabPair> {
    const pair = await this.#context.pairs.acquire(this.#window);
    if (this.#ended) {
      pair.release();
      this.#throwIfOver();
    }
    this.#pair = pair;
    pair.input.bytes.set(this.#carry, this.#walker.position);
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
