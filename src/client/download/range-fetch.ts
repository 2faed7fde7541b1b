import type { PlannedFetch } from '../../plan/index.js';
import type { CasClient, ComputePool } from '../ports.js';
import { decodeRuns, recordRun, sliceRun } from './batch.js';
import type { Cancellation } from './cancellation.js';
import type { ChunkLedger } from './chunk-ledger.js';
import { isDataFault, isExpiredUrl, isRangeRefusal } from './faults.js';
import type { OutputWriter } from './output-writer.js';
import { RangeLayout, RecordWalker } from './record-stream.js';
import type { SlabCopy } from './slab-copy.js';
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

/** The most that is copied into a slab before its headers are looked at again. */
export const STEP_BYTES: number = 1 << 17;

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
class Attempt {
  readonly #fetch: PlannedFetch;
  readonly #layouts: readonly RangeLayout[];
  readonly #window: number;
  readonly #context: FetchContext;
  readonly #decoding = new Set<Promise<void>>();
  #failure: { readonly error: unknown } | undefined;

  #pair: SlabPair | undefined;
  #walker: RecordWalker;
  /** Bytes in the input slab. */
  #filled = 0;
  /** The start of a record whose rest comes into the next slab. */
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
    const { cas, cancellation, onRequest, onFetched } = this.#context;
    // Memory first: no connection waits for a slab.
    await this.#takePair();
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
    const parts = cas.fetchRanges(url, ranges, controller.signal)[Symbol.asyncIterator]();
    let ended = false;
    try {
      while (!ended) {
        const step = await cancellation.race(parts.next());
        if (step.done) ended = true;
        else {
          onFetched(step.value.bytes.length);
          await this.#push(step.value.rangeIndex, step.value.bytes);
        }
      }
    } finally {
      removeListener();
      // Not awaited: a connection that hangs must not hold up the failure.
      if (!ended) void parts.return?.()?.catch(() => {});
    }
    this.#endRange();
    if (this.#at < this.#layouts.length - 1) this.#missing(this.#layouts[this.#at + 1]);
  }

  /** Takes bytes of the range with this index in the request. */
  async #push(rangeIndex: number, bytes: Uint8Array): Promise<void> {
    while (this.#at < rangeIndex) {
      this.#endRange();
      if (this.#at + 1 >= this.#layouts.length) this.#outOfOrder(rangeIndex);
      this.#at++;
      this.#chunk = this.#layout.chunkStart;
      this.#received = 0;
    }
    if (rangeIndex !== this.#at) this.#outOfOrder(rangeIndex);
    this.#received += bytes.length;
    const layout = this.#layout;
    if (this.#received > layout.storedBytes) {
      throw layout.fault('SIZE_MISMATCH', `${layout.storedBytes} bytes of a range, got more`);
    }
    let taken = 0;
    // What a full slab left over may hold whole records: it is walked even when no byte follows.
    while (taken < bytes.length || this.#carry.length > 0) {
      const pair = this.#pair ?? (await this.#takePair());
      const slab = pair.input.bytes;
      const step = Math.min(STEP_BYTES, bytes.length - taken, slab.length - this.#filled);
      this.#context.copy(slab, this.#filled, bytes.subarray(taken, taken + step));
      this.#filled += step;
      taken += step;
      this.#walk(layout, slab);
      if (this.#failure !== undefined) throw this.#failure.error;
    }
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
    const rest = pair.input.bytes.subarray(walker.position, this.#filled);
    this.#walker = new RecordWalker(this.#context.pool.slabBytes);
    if (walker.runs.length === 0) {
      // Nothing in here was wanted: the same slab again.
      this.#filled = rest.length;
      pair.input.bytes.copyWithin(0, walker.position, walker.position + rest.length);
      return;
    }
    // Copied out, because the slab may be the only one there is.
    this.#carry = rest.slice();
    this.#filled = 0;
    this.#pair = undefined;
    const work = this.#process(pair, walker)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#decoding.delete(work));
    this.#decoding.add(work);
  }

  /** Decodes, notes the hashes and starts to write; the slabs come back when that is done. */
  async #process(pair: SlabPair, walker: RecordWalker): Promise<void> {
    const { pool, ledger, writer, cancellation, onBackground } = this.#context;
    try {
      const decoded = await decodeRuns(pool, pair, walker.runs);
      cancellation.throwIfCancelled();
      const output = pair.output.bytes;
      const slices = walker.runs.flatMap((run, i) => {
        const result = decoded[i];
        if (ledger !== null && result !== undefined) recordRun(ledger, run, result);
        run.layout.settle(run.chunkStart, run.chunkEnd);
        return sliceRun(run, output);
      });
      onBackground(writer.write(slices, !pair.reserved).finally(() => pair.release()));
    } catch (error) {
      pair.release();
      throw error;
    }
  }

  async #takePair(): Promise<SlabPair> {
    const pair = await this.#context.pairs.acquire(this.#window);
    this.#pair = pair;
    pair.input.bytes.set(this.#carry, 0);
    this.#filled = this.#carry.length;
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
