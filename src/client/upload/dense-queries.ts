import { Deferred } from '../../flow/index.js';
import { HASH_BYTES, MerkleHash } from '../../hash/index.js';

/**
 * After this many chunks in a row that the server does not know, questions are no longer urgent: some
 * 128 MiB of new data at one chunk in 64.
 */
const MISSES_BEFORE_PATIENCE = 32;
/** Chunks that then make a question: 64 MiB for each, as with servers that are asked one by one. */
const PATIENT_CHUNKS = 16;

/** What asking needs of the session. */
export interface DenseQueriesOptions {
  readonly maxChunks: number;
  /** Numbers of those of these chunks that nothing knows. */
  readonly unknownOf: (hashes: Uint8Array) => number[];
  /** Asks the server and learns what it says; resolves with whether it knew any. Never rejects. */
  readonly send: (chunks: readonly MerkleHash[]) => Promise<boolean>;
}

/** Chunks of one batch that wait for their question. */
interface Entry {
  readonly hashes: Uint8Array;
  readonly done: Deferred<void>;
}

/**
 * Questions about many chunks, one on the wire at a time: what comes meanwhile goes with the next one,
 * less what the response has told. So a response is never asked for twice, and a slow line is asked
 * seldom about much instead of often about little.
 */
export class DenseQueries {
  readonly #options: DenseQueriesOptions;
  readonly #waiting: Entry[] = [];
  #waitingChunks = 0;
  #sending = false;
  #missesInARow = 0;

  constructor(options: DenseQueriesOptions) {
    this.#options = options;
  }

  /** Chunks that the server did not know, in a row. */
  get missesInARow(): number {
    return this.#missesInARow;
  }

  /** Asks about packed `hashes`; what settles with the response, or null when nobody need wait. */
  ask(hashes: Uint8Array): Promise<void> | null {
    if (hashes.length === 0) return null;
    const isUrgent = this.#missesInARow < MISSES_BEFORE_PATIENCE;
    const entry = { hashes, done: new Deferred<void>() };
    this.#waiting.push(entry);
    this.#waitingChunks += hashes.length / HASH_BYTES;
    if (isUrgent || this.#waitingChunks >= PATIENT_CHUNKS) void this.#sendAll();
    return isUrgent ? entry.done.promise : null;
  }

  async #sendAll(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    while (this.#waiting.length > 0) await this.#sendSome();
    this.#sending = false;
  }

  async #sendSome(): Promise<void> {
    const { maxChunks, unknownOf, send } = this.#options;
    const chunks = new Map<string, MerkleHash>();
    const entries: Entry[] = [];
    while (this.#waiting.length > 0) {
      const entry = this.#waiting[0] as Entry;
      const unknown = unknownOf(entry.hashes);
      // One batch may have more than fits: the rest of it is left out, its neighbours are asked for.
      if (entries.length > 0 && chunks.size + unknown.length > maxChunks) break;
      this.#waiting.shift();
      this.#waitingChunks -= entry.hashes.length / HASH_BYTES;
      entries.push(entry);
      for (const index of unknown.slice(0, maxChunks)) {
        const chunk = MerkleHash.from(entry.hashes, HASH_BYTES * index);
        chunks.set(chunk.toString(), chunk);
      }
    }
    if (chunks.size > 0) {
      const known = await send([...chunks.values()]);
      this.#missesInARow = known ? 0 : this.#missesInARow + chunks.size;
    }
    for (const { done } of entries) done.resolve();
  }
}
