import PQueue from 'p-queue';
import { Deferred, type Reservation, type Scope } from '../../flow/index.js';
import { HASH_BYTES, MerkleHash } from '../../hash/index.js';
import { HashTable } from '../../shard/index.js';
import type { DedupQueries } from '../ports.js';
import { DenseQueries } from './dense-queries.js';
import type { Knowledge } from './knowledge.js';

/** Questions on the wire at once. */
const QUERY_CONCURRENCY = 16;
/** Questions that may wait for their turn; more are not asked. */
const MAX_QUEUED = 256;
/** Chunks remembered as asked for; then it starts over, and some may be asked for again. */
const MAX_REMEMBERED = 65_536;
/** After so many timeouts nobody waits any more… */
const MAX_TIMEOUTS = 3;
/** …unless so many waits in between, for each, were in time. */
const WAITS_PER_TIMEOUT = 64;
/** A question about many chunks is waited for so many times longer. */
const DENSE_PATIENCE = 2.5;
/** A question without a response is given up then; late responses are still learnt from. */
const LATE_MS = 30_000;

/**
 * After this many responses in a row that the server does not know the chunk, small files take turns:
 * a directory of new files would cost a request for each, about as much work as storing it. One hit
 * ends it; its shard usually knows the neighbours, too. So no more than this are asked for before
 * there are responses, either.
 */
const MISSES_BEFORE_TURNS = 32;
/**
 * Questions about small files before the first response is there: one hit as a rule says all of an unchanged
 * folder, at the price of one round trip where nothing is known.
 */
const FIRST_QUESTIONS = 4;
/** The same for chunks that are asked for many at once: those of one question. */
const MISSED_CHUNKS_BEFORE_TURNS = 256;
/** Bytes of small files that one question then stands for: a long file asks every 64 MiB on average. */
const TURN_BYTES = 4 * 1024 * 1024;

/** Memory that a response is given before its size is known, and what decoding it takes, as a factor. */
const EXPECTED_RESPONSE_BYTES = 256 * 1024;
const DECODING_FACTOR = 2;

/** Whether there is memory for so many bytes of a response. */
type Admit = (totalBytes: number) => boolean;

/** Ask for a small file now, when the open questions are answered, or not at all. */
export type Turn = 'now' | 'later' | 'never';

export interface GlobalQueriesOptions {
  readonly cas: DedupQueries;
  readonly knowledge: Knowledge;
  /** Numbers of those of these chunks that nothing knows. */
  readonly unknownOf: (hashes: Uint8Array) => number[];
  readonly timeoutMs: number;
  readonly scope: Scope;
}

/**
 * Asks the server which xorbs hold a chunk. An optimisation that can only help: a response that
 * fails, stalls or is no shard is a miss, a batch waits for a bounded time, and when the server
 * keeps it waiting, batches stop to wait at all; late responses are still learnt from. Responses are
 * counted as memory before they arrive, so fewer questions are open when that is short.
 */
export class GlobalQueries {
  readonly #options: GlobalQueriesOptions;
  #dense: DenseQueries | null = null;
  readonly #queue: PQueue = new PQueue({ concurrency: QUERY_CONCURRENCY });
  #asked = new HashTable();
  /** Responses that are still to come. */
  readonly #open = new Set<Promise<void>>();
  /** Responses that hold memory now, and who waits for one of them to let go. */
  #heldCount = 0;
  #freed = new Deferred<void>();
  #timeouts = 0;
  /** Waits that were over in time. */
  #inTime = 0;
  #missesInARow = 0;
  /** A question is over, whatever came of it. */
  #heardBack = false;
  /** Bytes of small files since the last question about one. */
  #unaskedBytes = 0;
  #queryCount = 0;
  #responseCount = 0;

  constructor(options: GlobalQueriesOptions) {
    this.#options = options;
  }

  /** Questions asked. */
  get queryCount(): number {
    return this.#queryCount;
  }

  /** Responses that taught at least one xorb. */
  get responseCount(): number {
    return this.#responseCount;
  }

  /** Responses that are still to come: what they say decides about small files put off. */
  get open(): readonly Promise<void>[] {
    return [...this.#open];
  }

  /** Whether a whole small file of `sizeBytes` is to be asked for. */
  turnOf(sizeBytes: number): Turn {
    if (this.#dense !== null) {
      // Many in one question: it is over only when many were not known.
      if (this.#dense.missesInARow < MISSED_CHUNKS_BEFORE_TURNS) return 'now';
    } else if (this.#missesInARow < MISSES_BEFORE_TURNS) {
      const most = this.#heardBack ? MISSES_BEFORE_TURNS : FIRST_QUESTIONS;
      return this.#missesInARow + this.#open.size < most ? 'now' : 'later';
    }
    this.#unaskedBytes += sizeBytes;
    if (this.#unaskedBytes < TURN_BYTES) return 'never';
    this.#unaskedBytes = 0;
    return 'now';
  }

  /** False when the server has kept us waiting too often: nobody waits for responses any more. */
  get isPatient(): boolean {
    return this.#timeouts < MAX_TIMEOUTS && this.#options.timeoutMs > 0;
  }

  /** Asks for chunks `indices` of `hashes`; adds to `responses` what settles with each response. */
  ask(hashes: Uint8Array, indices: readonly number[], responses: Promise<void>[]): void {
    for (const index of indices) {
      const at = HASH_BYTES * index;
      if (this.#queue.size >= MAX_QUEUED || this.#wasAsked(hashes, at)) continue;
      const chunk = MerkleHash.from(hashes, at);
      this.#queryCount++;
      const response = this.#queue.add(async () => {
        await this.#receive((signal, admit) => this.#options.cas.queryDedup(chunk, signal, admit));
      });
      this.#noteOpen(response);
      responses.push(response);
    }
  }

  /** How densely the server lets itself be asked; null: chunk by chunk, as far as is known. */
  get oneIn(): number | null {
    const { cas } = this.#options;
    return cas.queryDedupMany === undefined ? null : (cas.denseDedup?.()?.oneIn ?? null);
  }

  /** No response has come yet that would say so, and one is still to come. */
  get isUndecided(): boolean {
    return !this.#heardBack && this.#open.size > 0;
  }

  /** Asks about packed `hashes` in one question; adds to `responses` what settles with its response. */
  askMany(hashes: Uint8Array, responses: Promise<void>[]): void {
    const response = this.#denseQueries()?.ask(hashes) ?? null;
    if (response === null) return;
    this.#noteOpen(response);
    responses.push(response);
  }

  #denseQueries(): DenseQueries | null {
    const { cas, unknownOf } = this.#options;
    const offered = cas.denseDedup?.() ?? null;
    if (offered === null || cas.queryDedupMany === undefined) return null;
    this.#dense ??= new DenseQueries({
      maxChunks: offered.maxChunks,
      unknownOf,
      send: (chunks) => {
        this.#queryCount++;
        return this.#receive(
          (signal, admit) =>
            cas.queryDedupMany?.({ chunks }, signal, admit) ?? Promise.resolve(null),
        );
      },
    });
    return this.#dense;
  }

  #noteOpen(response: Promise<void>): void {
    this.#open.add(response);
    void response.then(() => this.#open.delete(response));
  }

  /** Resolves when all of `responses` are there, or when it took too long. */
  async wait(responses: readonly Promise<void>[]): Promise<void> {
    const { timeoutMs, scope } = this.#options;
    if (responses.length === 0 || scope.ended || !this.isPatient) return;
    await new Promise<void>((resolve) => {
      // One question for many: there is nothing that it could be late beside.
      const patienceMs = this.#dense === null ? timeoutMs : DENSE_PATIENCE * timeoutMs;
      const stop = scope.after(patienceMs, () => {
        this.#timeouts++;
        end();
      });
      const forget = scope.onEnd(() => end());
      let over = false;
      const end = (): void => {
        over = true;
        stop();
        forget();
        resolve();
      };
      void Promise.all(responses).then(() => {
        if (over) return;
        end();
        if (++this.#inTime % WAITS_PER_TIMEOUT === 0 && this.#timeouts > 0) this.#timeouts--;
      });
    });
  }

  #wasAsked(hashes: Uint8Array, at: number): boolean {
    const { count } = this.#asked;
    if (this.#asked.add(hashes, at) < count) return true;
    if (this.#asked.count > MAX_REMEMBERED) this.#asked = new HashTable();
    return false;
  }

  /** Asks, and learns from the response; resolves with whether there was one. Never rejects. */
  async #receive(
    ask: (signal: AbortSignal, admit: Admit) => Promise<Uint8Array | null>,
  ): Promise<boolean> {
    const { scope } = this.#options;
    const memory = await this.#memory();
    if (memory === null) return false;
    const asking = scope.child();
    const admit = (bytes: number): boolean =>
      memory.bytes >= DECODING_FACTOR * bytes || memory.resize(DECODING_FACTOR * bytes);
    const stop = asking.after(LATE_MS, () => asking.end('too late'));
    try {
      const shard = await asking.call((signal) => ask(signal, admit));
      if (shard === null) this.#missesInARow++;
      else if (admit(shard.length)) this.#learn(shard);
      return shard !== null;
    } catch {
      // A miss: cancelled, too late, or what came is no shard. Uploading goes on without it.
      return false;
    } finally {
      this.#heardBack = true;
      stop();
      asking.close();
      memory.release();
      this.#heldCount--;
      this.#freed.resolve();
      this.#freed = new Deferred();
    }
  }

  #learn(shard: Uint8Array): void {
    if (this.#options.knowledge.learn(shard, 'global').xorbs === 0) return;
    this.#responseCount++;
    this.#missesInARow = 0;
  }

  /** Memory for a response; null: there is none, and nobody is going to free some. */
  async #memory(): Promise<Reservation | null> {
    const { knowledge, scope } = this.#options;
    while (!scope.ended) {
      const memory = knowledge.budget.tryAcquire(EXPECTED_RESPONSE_BYTES);
      if (memory !== null) {
        this.#heldCount++;
        return memory;
      }
      if (this.#heldCount === 0) return null;
      await this.#freed.promise;
    }
    return null;
  }
}
