import { MAX_CHUNK_BYTES } from '../../bytes/index.js';
import { OrbweaverError } from '../../errors.js';
import { type Budget, type Clock, Deferred, Scope } from '../../flow/index.js';
import type { Hasher, MerkleHash } from '../../hash/index.js';
import { outputBytesOf, type Reconstruction } from '../../plan/index.js';
import { downloadFile, downloadVerified, type VerifyRange } from '../download/index.js';
import type { ChunkHashes, ComputePool, RangeSource, Reconstructions, Sink } from '../ports.js';
import { type Span, SpanCache } from './span-cache.js';

/** What a reader is made of. */
export interface FileReaderOptions {
  readonly cas: Reconstructions & RangeSource & ChunkHashes;
  readonly pool: ComputePool;
  readonly hasher: Hasher;
  readonly clock: Clock;
  readonly budget: Budget;
  /** Ranges that one fetch asks for at a time. @default what moves the most bytes */
  readonly concurrency?: number | undefined;
  readonly fileHash: MerkleHash;
  readonly sizeBytes: number;
  /** Bytes that are kept of what was read last. */
  readonly cacheBytes: number;
  /** Whether what is fetched has to be proved against the file hash; `off` costs least. */
  readonly verifyRange: VerifyRange;
  /** A place in memory, and what was written there when it is committed. */
  readonly createSink: () => Sink & { bytes(): Uint8Array };
}

/** A fetch that is on its way, and how many wait for it. */
interface Flight {
  /** What was asked for, until it is known what comes: whole chunks, if that is little more. */
  start: number;
  end: number;
  isLocated: boolean;
  /** Resolves when that is known, or when the flight has failed. */
  readonly located: Promise<void>;
  readonly span: Promise<Span>;
  readonly scope: Scope;
  waiting: number;
}

/**
 * Reads anywhere in a stored file. What is fetched are whole chunks; they are kept in a small cache, and
 * whoever wants bytes that somebody is fetching already waits for those: a hundred readers of one place
 * cost one reconstruction and one fetch. A fetch that nobody waits for any more is cancelled.
 */
export class FileReader {
  readonly #options: FileReaderOptions;
  readonly #cache: SpanCache;
  readonly #scope: Scope;
  readonly #flights = new Set<Flight>();
  #isVerified = true;

  constructor(options: FileReaderOptions) {
    this.#options = options;
    this.#cache = new SpanCache(options.cacheBytes);
    this.#scope = new Scope({ clock: options.clock, what: 'reading the file' });
  }

  /**
   * Bytes `[start, end)`, an array of the caller's own.
   * @throws OrbweaverError `RANGE_INVALID` when `start` is behind the end of the file or `end` is;
   * `CLOSED`, `ABORTED`; what a download throws
   */
  async read(start: number, end: number, signal?: AbortSignal): Promise<Uint8Array> {
    this.#check(start, end);
    const into = new Uint8Array(end - start);
    if (start === end) return into;
    const waiter = this.#scope.child({ what: 'the read', ...(signal && { signal }) });
    try {
      for (let position = start; position < end; ) {
        waiter.check();
        const span = this.#cache.find(position) ?? (await this.#fetched(position, end, waiter));
        if (span === null) continue;
        const part = span.bytes.subarray(position - span.start, end - span.start);
        into.set(part, position - start);
        position += part.length;
      }
      return into;
    } finally {
      waiter.close();
    }
  }

  /** Everything that was fetched so far was held against the file hash. */
  get isVerified(): boolean {
    return this.#isVerified;
  }

  /** Cancels what is on its way, and forgets what was read. Safe to call twice. */
  close(): void {
    this.#scope.end(
      new OrbweaverError('CLOSED', 'the file expected to be open, got a read after close()'),
    );
    this.#cache.clear();
  }

  /** @throws OrbweaverError the reason when it is closed */
  checkOpen(): void {
    this.#scope.check();
  }

  #check(start: number, end: number): void {
    this.#scope.check();
    const { sizeBytes } = this.#options;
    if (start <= end && end <= sizeBytes) return;
    throw new OrbweaverError(
      'RANGE_INVALID',
      `a read expected to end within the file's ${sizeBytes} bytes, got bytes ${start} to ${end}`,
      { offset: start, end, sizeBytes },
    );
  }

  /** A span that holds the byte at `position`; null: it is known now who brings it, look again. */
  async #fetched(position: number, end: number, waiter: Scope): Promise<Span | null> {
    for (const flight of this.#flights) {
      if (flight.start <= position && position < flight.end) return this.#join(flight, waiter);
      // Its chunks may reach as far as here.
      const isNear =
        flight.start - MAX_CHUNK_BYTES < position && position < flight.end + MAX_CHUNK_BYTES;
      if (isNear && !flight.isLocated) {
        await waiter.race(flight.located);
        return null;
      }
    }
    let until = Math.min(end, this.#cache.nextStart(position));
    for (const { start } of this.#flights) if (start > position) until = Math.min(until, start);
    return this.#join(this.#start(position, until), waiter);
  }

  async #join(flight: Flight, waiter: Scope): Promise<Span> {
    flight.waiting++;
    try {
      return await waiter.race(flight.span);
    } finally {
      flight.waiting--;
      if (flight.waiting === 0) {
        // Nobody may join it from here on.
        this.#flights.delete(flight);
        flight.scope.close();
      }
    }
  }

  #start(start: number, end: number): Flight {
    const located = new Deferred<void>();
    const scope = this.#scope.child();
    const fetch = async (): Promise<Span> => {
      try {
        const told = await this.#locate(start, end, scope);
        Object.assign(flight, { start: told.start, end: told.end, isLocated: true });
        located.resolve();
        const span = await this.#download(told, scope);
        this.#scope.check();
        this.#cache.add(span);
        return span;
      } finally {
        located.resolve();
        this.#flights.delete(flight);
      }
    };
    // Starts with the next turn of promises, when `flight` is there.
    const span = Promise.resolve().then(fetch);
    // Whoever waits is told; nobody may be waiting any more.
    span.catch(() => undefined);
    const flight: Flight = {
      start,
      end,
      isLocated: false,
      located: located.promise,
      span,
      scope,
      waiting: 0,
    };
    this.#flights.add(flight);
    return flight;
  }

  /** Where the bytes are, and which of them to fetch: whole chunks, or less if a server tells of much. */
  async #locate(start: number, end: number, scope: Scope): Promise<Located> {
    const { cas, fileHash, cacheBytes, sizeBytes } = this.#options;
    const reconstruction = await scope.call((signal) =>
      cas.getReconstruction(fileHash, { start, end }, signal),
    );
    if (reconstruction === null) {
      const message = `the file expected ${sizeBytes} bytes, the server has none at ${start}`;
      throw new OrbweaverError('PROTOCOL', message, { offset: start });
    }
    const { offsetIntoFirstTerm } = reconstruction;
    const toldStart = start - offsetIntoFirstTerm;
    const toldEnd = Math.min(sizeBytes, start + outputBytesOf(reconstruction));
    const most = Math.max(end - start, cacheBytes / 2);
    if (
      toldStart >= 0 &&
      toldEnd - toldStart <= Math.max(most, end - start + 2 * MAX_CHUNK_BYTES)
    ) {
      return { reconstruction, toldStart, start: toldStart, end: toldEnd };
    }
    return { reconstruction, toldStart, start, end: Math.min(toldEnd, Math.ceil(start + most)) };
  }

  async #download({ reconstruction, toldStart, start, end }: Located, scope: Scope): Promise<Span> {
    const { cas, pool, hasher, clock, budget, concurrency, fileHash, sizeBytes } = this.#options;
    const { createSink, verifyRange } = this.#options;
    let told: Reconstruction | null = { ...reconstruction, offsetIntoFirstTerm: start - toldStart };
    const sink = createSink();
    const isWhole = start === 0 && end === sizeBytes;
    const range = isWhole ? undefined : { offset: start, length: end - start };
    const parts = { pool, hasher, clock, budget, concurrency, fileHash, sink, range };
    if (!isWhole && verifyRange !== 'off') {
      // With the chunks around it: more than what was told of is needed.
      const { verified } = await scope.call((signal) =>
        downloadVerified({ ...parts, cas, signal }, verifyRange),
      );
      this.#isVerified &&= verified;
      return { start, bytes: sink.bytes() };
    }
    const { verified } = await scope.call((signal) =>
      downloadFile({
        ...parts,
        cas: {
          // The response that is there already; when its URLs expire, the store is asked again.
          getReconstruction: (file, range, callSignal) => {
            const first = told;
            told = null;
            return first === null
              ? cas.getReconstruction(file, range, callSignal)
              : Promise.resolve(first);
          },
          readRanges: (url, ranges, options) => cas.readRanges(url, ranges, options),
        },
        signal,
      }),
    );
    this.#isVerified &&= verified;
    return { start, bytes: sink.bytes() };
  }
}

interface Located {
  readonly reconstruction: Reconstruction;
  /** Where the first term starts in the file. */
  readonly toldStart: number;
  /** What is fetched. */
  readonly start: number;
  readonly end: number;
}
