import type { DedupSession, KnownXorbRun } from '../../dedup/index.js';
import { Budget, type Clock, type Reservation } from '../../flow/index.js';
import type { ComputePool } from '../ports.js';

/** Least memory for what an upload remembers and learns. */
const MIN_KNOWLEDGE_BYTES = 32 * 1024 * 1024;

/** Two thirds of the slabs: with the default of 96 MiB, 64 MiB, which know 85 GiB of stored data. */
export function defaultKnowledgeBytes(pool: Pick<ComputePool, 'slabBytes' | 'slabCount'>): number {
  return Math.max(MIN_KNOWLEDGE_BYTES, Math.floor((pool.slabBytes * pool.slabCount * 2) / 3));
}

/** What a shard taught. */
export interface Learnt {
  readonly xorbs: number;
  readonly chunks: number;
}

/**
 * The memory beside the slabs, in one budget. What the session has to remember in order to register
 * its files (chunk index, file records, results) is held whatever it takes; what it learns (responses
 * on their way, chunks of known shards) gets what is left, and makes way. Dedup is an optimisation.
 */
export class Knowledge {
  readonly budget: Budget;
  readonly #dedup: DedupSession;
  readonly #clock: Clock;
  readonly #must: Reservation;
  readonly #outside: Reservation;

  constructor(dedup: DedupSession, clock: Clock, capacityBytes: number) {
    this.#dedup = dedup;
    this.#clock = clock;
    this.budget = new Budget({ capacityBytes });
    this.#must = this.budget.tryAcquire(0) as Reservation;
    this.#outside = this.budget.tryAcquire(0) as Reservation;
  }

  /** Bytes that nobody holds. */
  get freeBytes(): number {
    return this.budget.capacityBytes - this.budget.usedBytes;
  }

  /**
   * Learns a shard as far as there is memory.
   * @throws OrbweaverError the errors of `decodeShard`: nothing of it was added
   */
  learn(shard: Uint8Array, origin: 'local' | 'global'): Learnt {
    const nowSeconds = Math.floor(this.#clock.unixMs() / 1000);
    const maxBytes = this.#outside.bytes + this.freeBytes;
    try {
      return this.#dedup.addShard(shard, origin, nowSeconds, maxBytes);
    } finally {
      this.#countOutside();
    }
  }

  /** Learns where parts of stored xorbs lie, as far as there is memory; returns how many chunks. */
  learnRuns(runs: Iterable<KnownXorbRun>): number {
    try {
      return this.#dedup.addRuns(runs, 'global', this.#outside.bytes + this.freeBytes);
    } finally {
      this.#countOutside();
    }
  }

  /** Everything that was learnt is forgotten. */
  forget(): void {
    this.#countOutside();
  }

  /** After each step that made the session remember more; `resultBytes` is what its results take. */
  remembered(resultBytes: number): void {
    const { indexBytes, outsideBytes, fileBytes } = this.#dedup.stats();
    const mustBytes = indexBytes - outsideBytes + fileBytes + resultBytes;
    if (this.#must.resize(mustBytes)) return;
    const missing = mustBytes - this.#must.bytes - this.freeBytes;
    this.#dedup.shrinkOutside(Math.max(0, outsideBytes - missing));
    this.#countOutside();
    // More than all of it leaves nothing to whatever is optional.
    this.#must.resize(Math.min(mustBytes, this.#must.bytes + this.freeBytes));
  }

  #countOutside(): void {
    const { outsideBytes } = this.#dedup.stats();
    if (!this.#outside.resize(outsideBytes)) {
      this.#outside.resize(this.#outside.bytes + this.freeBytes);
    }
  }
}
