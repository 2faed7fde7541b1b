import { hexEncode, type Sequence } from '../bytes/index.js';
import type { Clock } from '../flow/index.js';
import type { MerkleHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import { SYSTEM_CLOCK, systemRandomBytes } from '../platform/index.js';
import type { ShardFile } from '../shard/index.js';
import { MAX_SHARDS } from './dedup-index.js';
import { createObjectRecords } from './object-records.js';
import type { ObjectStore } from './ports.js';
import { sizeOf } from './tables/entries.js';
import { createIndexTables } from './tables/index.js';
import { mapLimited } from './turns.js';

/**
 * Which files are registered, and which shards know a chunk. A file is registered exactly when it is in
 * here. How it is laid out in the store is known to nobody else: everything that asks, lists or removes
 * does it through this.
 */
export interface StoreIndex {
  /** Every registered file once, in any order; files that come or go meanwhile may be in it or not. */
  files(): AsyncIterable<IndexedFile>;
  /**
   * The record of a file; null when it is not registered.
   * @throws OrbweaverError `INTEGRITY` for a damaged record
   */
  file(hash: MerkleHash): Promise<ShardFile | null>;
  /** Where its record is, without reading all of it; null when it is not registered. */
  find(hash: MerkleHash): Promise<FoundRecord | null>;
  /**
   * Which of many files are registered: as texts of their hashes. Cheaper than one `find` for each.
   * @throws OrbweaverError `INTEGRITY` when that cannot be told of one of them
   */
  registered(hashes: readonly MerkleHash[]): Promise<ReadonlySet<string>>;
  /**
   * Sizes in bytes of those of many files that are registered, by the texts of their hashes. Cheaper than one
   * `file` for each.
   * @throws OrbweaverError `INTEGRITY` when that cannot be told of one of them
   */
  sizes(hashes: readonly MerkleHash[]): Promise<ReadonlyMap<string, number>>;
  /** Shards that know a chunk, the newest first, at most `MAX_SHARDS`. */
  shards(chunk: MerkleHash): Promise<readonly MerkleHash[]>;
  /** Makes a stored shard findable, and then its files exist. True when any file is new or was repaired. */
  register(registration: IndexRegistration): Promise<boolean>;
  /** Merges tables where there are enough of them; registering does the same behind itself. */
  merge(): Promise<void>;
  /** Bytes of memory that are held, at most `cacheBytes`. */
  readonly usedBytes: number;
  /**
   * Files that are no longer registered when it resolves. Hashes that nobody registered are passed over.
   * Returns how many were there. Shards, xorbs and dedup entries stay.
   */
  remove(hashes: readonly MerkleHash[]): Promise<number>;
  /** Drops the dedup entries of shards that are gone or about to be deleted; without it they only cost room. */
  forgetShards(shards: readonly MerkleHash[]): Promise<void>;
  /** Reads all of the index; null when none of it is damaged. Damaged file records are found one by one. */
  damage(): Promise<IndexDamage | null>;
}

/** What of an index cannot be read. */
export interface IndexDamage {
  /** Keys of the damaged objects. */
  readonly keys: readonly string[];
  /** Whether it is known which hashes the damage may hide. Otherwise it may be any. */
  readonly isMapped: boolean;
  /** Those that keep it from saying whether and how a file is registered. */
  keysOf(hash: MerkleHash): Promise<readonly string[]>;
  /**
   * Drops what cannot be read: files of which it was the only record are not registered any more.
   * `repairIndex` registers them again before.
   */
  salvage(): Promise<void>;
}

/** A line of the list of files. */
export interface IndexedFile {
  readonly hash: MerkleHash;
  /** Of the file. Null: its record is damaged. */
  readonly sizeBytes: number | null;
  /** When it was registered, milliseconds since 1970. */
  readonly createdMs: number;
  /**
   * The shard that registered it; null where that was not recorded (records that are objects of their
   * own). Other shards may name the file too.
   */
  readonly shard: MerkleHash | null;
}

/** A record that is there. */
export interface FoundRecord {
  /** Another text when another record took its place. */
  readonly version: string;
  /** @throws OrbweaverError `INTEGRITY` for a damaged record */
  load(): Promise<ShardFile>;
}

/** A shard that is stored, and what it makes known. */
export interface IndexRegistration {
  readonly shard: MerkleHash;
  /** Chunks under which it is listed, each once. */
  readonly chunks: Sequence<MerkleHash>;
  readonly files: Sequence<ShardFile>;
  /** The chunks are written whether or not they seem to be there. @default false */
  readonly relist?: boolean | undefined;
  /** Whether a record that is there, another way to build its file, still builds it. */
  readonly isGood: (record: ShardFile) => Promise<boolean>;
}

/** What an index is made of. */
export interface StoreIndexParts {
  readonly store: ObjectStore;
  /** For what is written and read. */
  readonly hasher: Hasher;
  /** When things were registered. @default the clock of the machine */
  readonly clock?: Clock | undefined;
  /** Memory for what was read last. @default 4 MiB */
  readonly cacheBytes?: number | undefined;
  /** Told when a part of the index cannot be read, at most every ten minutes. */
  readonly onDamage?: (() => void) | undefined;
  /** Takes work that nobody waits for. @default it runs, and its failures are dropped */
  readonly background?: ((work: Promise<unknown>) => void) | undefined;
}

const CACHE_BYTES: number = 4 * 1024 * 1024;
const CONCURRENT_CALLS = 16;
const TELL_AGAIN_MS: number = 10 * 60 * 1000;

/** The index of a store. Any number of them, in any number of processes, share one store. */
export function createStoreIndex(parts: StoreIndexParts): StoreIndex {
  const {
    store,
    hasher,
    clock = SYSTEM_CLOCK,
    cacheBytes = CACHE_BYTES,
    background = (work) => void work.catch(() => undefined),
  } = parts;
  const objects = createObjectRecords(store, background);
  const newName = (): string => hexEncode(systemRandomBytes(32));
  let toldMs = Number.NEGATIVE_INFINITY;
  const onDamage = (): void => {
    if (clock.now() - toldMs < TELL_AGAIN_MS) return;
    toldMs = clock.now();
    parts.onDamage?.();
  };
  const tables = createIndexTables({ store, hasher, clock, cacheBytes, onDamage, newName });

  async function find(hash: MerkleHash): Promise<FoundRecord | null> {
    const entry = await tables.file(hash);
    if (entry === null || entry.file === null) return objects.find(hash);
    const { file, shard, createdMs } = entry;
    return { version: `${shard} ${createdMs}`, load: async () => file };
  }

  async function shardsOf(chunk: MerkleHash): Promise<MerkleHash[]> {
    const [packed, old] = await Promise.all([tables.shards(chunk), objects.shards(chunk)]);
    if (old.length === 0) return packed.map(({ shard }) => shard);
    const all = [...packed, ...old].sort((a, b) => b.createdMs - a.createdMs);
    const newest = new Map(all.map(({ shard }) => [shard.toString(), shard]));
    return [...newest.values()].slice(0, MAX_SHARDS);
  }

  return {
    async *files() {
      for await (const [hash, { sizeBytes, createdMs, shard, file }] of tables.files()) {
        // What was removed while a process was stopped.
        if (file === null && (await objects.find(hash)) === null) continue;
        yield { hash, sizeBytes, createdMs, shard };
      }
      for await (const file of objects.files()) {
        if ((await tables.file(file.hash)) === null) yield file;
      }
    },
    async file(hash) {
      return (await find(hash))?.load() ?? null;
    },
    find,
    async registered(hashes) {
      const packed = await tables.filesThere(hashes);
      const there = await mapLimited(hashes, CONCURRENT_CALLS, async (hash) => {
        const entry = packed.get(hash.toString());
        const isPacked = entry !== undefined && entry.file !== null;
        return isPacked || (await objects.find(hash)) !== null;
      });
      return new Set(hashes.filter((_, at) => there[at]).map(String));
    },
    async sizes(hashes) {
      const packed = await tables.filesThere(hashes);
      const sizes = await mapLimited(hashes, CONCURRENT_CALLS, async (hash) => {
        const entry = packed.get(hash.toString());
        if (entry !== undefined && entry.file !== null) return entry.sizeBytes;
        const found = await objects.find(hash);
        if (found === null) return null;
        return entry?.sizeBytes ?? sizeOf(await found.load());
      });
      const known = new Map<string, number>();
      for (const [at, sizeBytes] of sizes.entries()) {
        if (sizeBytes !== null) known.set(String(hashes[at]), sizeBytes);
      }
      return known;
    },
    shards: shardsOf,
    async register(registration) {
      const isNew = await tables.register(registration);
      background(tables.merge({ isFresh: false }));
      return isNew;
    },
    merge: () => tables.merge({ isFresh: true }),
    async remove(hashes) {
      const packed = await tables.remove(hashes);
      const gone = await mapLimited(hashes, CONCURRENT_CALLS, async (hash) => {
        const wasObject = await objects.remove(hash);
        return wasObject || packed.has(hash.toString());
      });
      return gone.filter(Boolean).length;
    },
    async forgetShards(shards) {
      const names = new Set(shards.map((shard) => shard.toString()));
      await tables.forgetShards(names);
      await objects.forgetShards(names);
    },
    async damage() {
      const found = await tables.damaged();
      if (found.length === 0) return null;
      const keys = found.map(({ key }) => key);
      return {
        keys,
        isMapped: found.every(({ isMapped }) => isMapped),
        keysOf: (hash) => tables.damagedFor(keys, hash),
        salvage: () => tables.salvage(keys),
      };
    },
    get usedBytes() {
      return tables.usedBytes;
    },
  };
}
