import PQueue from 'p-queue';
import { concatBytes } from '../../bytes/index.js';
import { keysOfShard, keysToFind } from '../../dedup/index.js';
import type { Scope } from '../../flow/index.js';
import { HASH_BYTES, type MerkleHash } from '../../hash/index.js';
import { decodeShard, HashTable } from '../../shard/index.js';
import type { CachedShard, ShardCache, XorbStore } from '../ports.js';
import type { Batch } from './batch.js';
import type { Knowledge } from './knowledge.js';

/** Shards stay usable for three weeks, as those of the reference client do. */
const LIFETIME_SECONDS = 21 * 24 * 60 * 60;
/** Shards read for one batch, the newest; what they do not know, later batches may find. */
const MAX_SHARDS_PER_BATCH = 16;
/** Questions at once whether a xorb is still there. */
const CHECK_CONCURRENCY = 16;
/** A check without a response is given up then, and its shard is not used. */
const CHECK_TIMEOUT_MS = 5000;
/** After so many batches that had to go on without the cache, nobody waits for it any more. */
const MAX_TIMEOUTS = 3;
/** How long the end of an upload waits for what is still written. */
const WRITE_TIMEOUT_MS = 2000;
/** Memory that decoding a shard takes, as a factor. */
const DECODING_FACTOR = 2;

export interface KnownShardsOptions {
  readonly cache: ShardCache;
  /** Says whether xorbs are still there. Without `hasXorb` they are believed to be. */
  readonly store: Pick<XorbStore, 'hasXorb'>;
  readonly knowledge: Knowledge;
  readonly scope: Scope;
  /** Longest wait of a batch. */
  readonly timeoutMs: number;
}

/**
 * What this machine remembers of earlier uploads. An optimisation that can only help: a batch waits
 * for it for a bounded time, what it learns has to fit into the knowledge budget, and before anything
 * refers to a xorb that only the cache vouches for, the store is asked once whether it is there:
 * standard input cannot be read again when the store refuses. A shard of which a xorb is gone is
 * forgotten.
 */
export class KnownShards {
  readonly #options: KnownShardsOptions;
  readonly #checks: PQueue = new PQueue({ concurrency: CHECK_CONCURRENCY });
  /** Found so far, by id; settles when it was learnt or given up. */
  readonly #found = new Map<string, Promise<void>>();
  /** Xorbs of the shards learnt, and who vouched for each. */
  readonly #xorbs = new HashTable();
  readonly #vouchers: CachedShard[] = [];
  readonly #writes: Promise<unknown>[] = [];
  #timeouts = 0;

  constructor(options: KnownShardsOptions) {
    this.#options = options;
  }

  /** Learns what is remembered of the chunks of a batch. Never rejects; null: there is nothing to look up. */
  lookUp(batch: Batch): Promise<void> | null {
    const keys = keysOf(batch);
    return keys.length === 0 ? null : this.#wait(this.#lookUp(keys));
  }

  /** Remembers a shard that the store has registered. */
  remember(shard: Uint8Array, nowSeconds: number): void {
    const put = async (): Promise<unknown> => {
      const keys = keysOfShard(shard);
      // It lists no xorb: all of it was known.
      if (keys.length === 0) return false;
      return this.#options.cache.put(shard, keys, Math.floor(nowSeconds) + LIFETIME_SECONDS);
    };
    // What cannot be kept is not found the next time.
    this.#writes.push(put().catch(() => undefined));
  }

  /** Resolves when all is written, or when that takes too long. */
  written(): Promise<void> {
    return this.#within(WRITE_TIMEOUT_MS, Promise.all(this.#writes), () => {});
  }

  /** The store has refused terms in these xorbs: who vouched for them is forgotten. */
  async refused(xorbs: HashTable): Promise<void> {
    const drops: Promise<void>[] = [];
    for (let i = 0; i < xorbs.count; i++) {
      const at = this.#xorbs.indexOf(xorbs.at(i), 0);
      if (at >= 0) drops.push((this.#vouchers[at] as CachedShard).drop());
    }
    await this.#within(WRITE_TIMEOUT_MS, Promise.all(drops), () => {});
  }

  async #lookUp(keys: Uint8Array): Promise<void> {
    const shards = await this.#options.cache.find(keys);
    const learning = shards.slice(-MAX_SHARDS_PER_BATCH).map((shard) => {
      const before = this.#found.get(shard.id);
      if (before !== undefined) return before;
      const now = this.#learn(shard).catch(() => shard.drop());
      this.#found.set(shard.id, now);
      return now;
    });
    await Promise.all(learning);
  }

  /** @throws OrbweaverError the errors of `decodeShard`: it is no shard */
  async #learn(shard: CachedShard): Promise<void> {
    const { knowledge, scope } = this.#options;
    const memory = knowledge.budget.tryAcquire(DECODING_FACTOR * shard.sizeBytes);
    if (memory === null) return;
    try {
      const bytes = await shard.read();
      if (bytes === null) return;
      const xorbs = decodeShard(bytes).xorbs.map(({ hash }) => hash);
      const isThere = await this.#areThere(xorbs);
      if (scope.ended || isThere === null) return;
      if (!isThere) {
        await shard.drop();
        return;
      }
      memory.release();
      if (knowledge.learn(bytes, 'local').xorbs === 0) return;
      for (const xorb of xorbs) {
        const before = this.#xorbs.count;
        if (this.#xorbs.add(xorb.bytes, 0) === before) this.#vouchers.push(shard);
      }
    } finally {
      memory.release();
    }
  }

  /** Null: the store did not say. */
  async #areThere(xorbs: readonly MerkleHash[]): Promise<boolean | null> {
    const { store, scope } = this.#options;
    if (store.hasXorb === undefined) return true;
    const asking = scope.child();
    const stop = asking.after(CHECK_TIMEOUT_MS, () => asking.end('it took too long'));
    const ask = (xorb: MerkleHash) => (): Promise<boolean> =>
      asking.ended
        ? Promise.reject(asking.reason)
        : asking.call((signal) => (store.hasXorb as Has).call(store, xorb, signal));
    try {
      const responses = await Promise.all(xorbs.map((xorb) => this.#checks.add(ask(xorb))));
      return responses.every((isThere) => isThere === true);
    } catch {
      return null;
    } finally {
      stop();
      asking.close();
    }
  }

  /** A batch goes on when its lookup is over or takes too long; late ones are still learnt from. */
  #wait(looking: Promise<void>): Promise<void> {
    const { timeoutMs } = this.#options;
    const patient = this.#timeouts < MAX_TIMEOUTS;
    return this.#within(patient ? timeoutMs : 0, looking, () => {
      this.#timeouts++;
    });
  }

  /** Resolves with `work`, when it fails, when the session ends, and after `ms` at the latest. */
  async #within(ms: number, work: Promise<unknown>, onLate: () => void): Promise<void> {
    const { scope } = this.#options;
    const done = work.then(
      () => undefined,
      () => undefined,
    );
    if (ms <= 0 || scope.ended) return;
    await new Promise<void>((resolve) => {
      const stop = scope.after(ms, () => {
        onLate();
        resolve();
      });
      const forget = scope.onEnd(() => resolve());
      void done.then(() => {
        stop();
        forget();
        resolve();
      });
    });
  }
}

type Has = NonNullable<XorbStore['hasXorb']>;

/** The keys of all chunks of a batch that are worth a lookup. */
function keysOf({ segments, starts, hashes }: Batch): Uint8Array {
  const parts: Uint8Array[] = [];
  for (const { file, start, fileOffset, chunkStart, chunkEnd } of segments) {
    if (file.error !== null || chunkStart === chunkEnd) continue;
    const isFirst = (starts[chunkStart] as number) === start - fileOffset;
    const part = hashes.subarray(HASH_BYTES * chunkStart, HASH_BYTES * chunkEnd);
    parts.push(keysToFind(part, isFirst));
  }
  return concatBytes(parts);
}
