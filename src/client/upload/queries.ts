import PQueue from 'p-queue';
import type { DedupSession } from '../../dedup/index.js';
import { MerkleHash } from '../../hash/index.js';
import type { CasClient } from '../ports.js';
import type { CancelScope } from './cancel.js';

/** Questions on the wire at once. */
const QUERY_CONCURRENCY = 16;
/** Questions that may wait for their turn; more are not asked. */
const MAX_QUEUED = 256;
/** After this many timeouts without an answer in between, nobody waits any more. */
const MAX_TIMEOUTS = 3;

/**
 * After this many answers in a row that the server does not know the chunk, small files take turns:
 * a directory of new files would cost a request for each, about as much work as storing it. One hit
 * ends it; its shard usually knows the neighbours, too. So no more than this are asked for before
 * there are answers, either.
 */
const MISSES_BEFORE_TURNS = 32;
/** Bytes of small files that one question then stands for: a long file asks every 64 MiB on average. */
const TURN_BYTES = 4 * 1024 * 1024;

/** Ask for a small file now, when the open questions are answered, or not at all. */
export type Turn = 'now' | 'later' | 'never';

export interface GlobalQueriesOptions {
  readonly cas: Pick<CasClient, 'queryDedup'>;
  readonly dedup: DedupSession;
  readonly timeoutMs: number;
  readonly scope: CancelScope;
  readonly nowMs: () => number;
}

/**
 * Asks the server which xorbs hold a chunk. An optimisation that can only help: an answer that
 * fails, stalls or is no shard is a miss, a batch waits for a bounded time, and when the server
 * keeps it waiting, batches stop to wait at all; late answers are still learnt from.
 */
export class GlobalQueries {
  readonly #options: GlobalQueriesOptions;
  readonly #queue: PQueue = new PQueue({ concurrency: QUERY_CONCURRENCY });
  readonly #asked = new Set<string>();
  /** Answers that are still to come. */
  readonly #open = new Set<Promise<void>>();
  #timeouts = 0;
  #missesInARow = 0;
  /** Bytes of small files since the last question about one. */
  #unaskedBytes = 0;
  #answerCount = 0;

  constructor(options: GlobalQueriesOptions) {
    this.#options = options;
  }

  /** Questions asked. */
  get queryCount(): number {
    return this.#asked.size;
  }

  /** Answers that taught at least one xorb. */
  get answerCount(): number {
    return this.#answerCount;
  }

  /** Answers that are still to come: what they say decides about small files put off. */
  get open(): readonly Promise<void>[] {
    return [...this.#open];
  }

  /** Whether a whole small file of `sizeBytes` is to be asked for. */
  turnOf(sizeBytes: number): Turn {
    if (this.#missesInARow < MISSES_BEFORE_TURNS) {
      return this.#missesInARow + this.#open.size < MISSES_BEFORE_TURNS ? 'now' : 'later';
    }
    this.#unaskedBytes += sizeBytes;
    if (this.#unaskedBytes < TURN_BYTES) return 'never';
    this.#unaskedBytes = 0;
    return 'now';
  }

  /** False when the server has kept us waiting too often: nobody waits for answers any more. */
  get isPatient(): boolean {
    return this.#timeouts < MAX_TIMEOUTS && this.#options.timeoutMs > 0;
  }

  /** Asks for chunks `indices` of `hashes`; adds to `answers` what settles with each answer. */
  ask(hashes: Uint8Array, indices: readonly number[], answers: Promise<void>[]): void {
    for (const index of indices) {
      const chunk = MerkleHash.from(hashes, 32 * index);
      const text = chunk.toString();
      if (this.#asked.has(text) || this.#queue.size >= MAX_QUEUED) continue;
      this.#asked.add(text);
      const answer = this.#queue.add(() => this.#askFor(chunk));
      this.#open.add(answer);
      void answer.then(() => this.#open.delete(answer));
      answers.push(answer);
    }
  }

  /** Resolves when all of `answers` are there, or when it took too long. */
  async wait(answers: readonly Promise<void>[]): Promise<void> {
    const { timeoutMs, scope } = this.#options;
    if (answers.length === 0 || scope.aborted || !this.isPatient) return;
    await new Promise<void>((resolve) => {
      const end = (): void => {
        clearTimeout(timer);
        forget();
        resolve();
      };
      const timer = setTimeout(() => {
        this.#timeouts++;
        end();
      }, timeoutMs);
      const forget = scope.onAbort(end);
      void Promise.all(answers).then(() => {
        this.#timeouts = 0;
        end();
      });
    });
  }

  /** Never rejects. */
  async #askFor(chunk: MerkleHash): Promise<void> {
    const { cas, dedup, scope, nowMs } = this.#options;
    if (scope.aborted) return;
    const child = scope.child();
    try {
      const shard = await cas.queryDedup(chunk, child.signal);
      if (shard === null) this.#missesInARow++;
      if (shard === null || scope.aborted) return;
      const { xorbs } = dedup.addShard(shard, 'global', Math.floor(nowMs() / 1000));
      if (xorbs === 0) return;
      this.#answerCount++;
      this.#missesInARow = 0;
    } catch {
      // A miss: cancelled, or an answer that is no shard. Uploading goes on without it.
    } finally {
      child.end();
    }
  }
}
