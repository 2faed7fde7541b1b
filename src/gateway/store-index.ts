import { bytesEqual } from '../bytes/index.js';
import type { Clock } from '../flow/index.js';
import { MerkleHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import type { ShardFile } from '../shard/index.js';
import { createDedupIndex } from './dedup-index.js';
import { isDamage } from './failures.js';
import { encodeFileRecord, readRecord } from './file-record.js';
import { CHUNKS_PREFIX, chunkKey, FILES_PREFIX, fileKey } from './keys.js';
import type { ObjectStore } from './ports.js';
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
  /**
   * Where its record is, without reading all of it; null when it is not registered. With the version of an
   * earlier answer that still holds, the answer is that version again.
   */
  find(hash: MerkleHash, knownVersion?: string): Promise<FoundRecord | null>;
  /** Shards that know a chunk, the newest first, at most `MAX_SHARDS`. */
  shards(chunk: MerkleHash): Promise<readonly MerkleHash[]>;
  /** Makes a stored shard findable, and then its files exist. True when any file is new or was repaired. */
  register(registration: IndexRegistration): Promise<boolean>;
  /**
   * Files that are no longer registered when it resolves. Hashes that nobody registered are passed over.
   * Returns how many were there. Shards, xorbs and dedup entries stay.
   */
  remove(hashes: readonly MerkleHash[]): Promise<number>;
  /** Drops the dedup entries of shards that are gone or about to be deleted; without it they only cost room. */
  forgetShards(shards: readonly MerkleHash[]): Promise<void>;
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
  readonly chunks: readonly MerkleHash[];
  readonly files: readonly ShardFile[];
  /** Whether a record that is there, another way to build its file, still builds it. */
  readonly isGood: (record: ShardFile) => Promise<boolean>;
}

const CONCURRENT_CALLS = 16;

/** What an index is made of. */
export interface StoreIndexParts {
  readonly store: ObjectStore;
  /** For what is written. */
  readonly hasher: Hasher;
  /** When things were registered. @default the clock of the machine */
  readonly clock?: Clock | undefined;
  /** Takes work that nobody waits for. @default it runs, and its failures are dropped */
  readonly background?: ((work: Promise<unknown>) => void) | undefined;
}

/** The index of a store. Any number of them, in any number of processes, share one store. */
export function createStoreIndex(parts: StoreIndexParts): StoreIndex {
  const { store, background = (work) => void work.catch(() => undefined) } = parts;
  const dedup = createDedupIndex(store, background);

  async function find(hash: MerkleHash): Promise<FoundRecord | null> {
    const info = await store.head(fileKey(hash));
    return info === null ? null : { version: info.version, load: () => readRecord(store, hash) };
  }

  /** True when its record was stored: it is new, or the one that was there is no good any more. */
  async function putFile(
    file: ShardFile,
    isGood: (record: ShardFile) => Promise<boolean>,
  ): Promise<boolean> {
    const key = fileKey(file.hash);
    const record = encodeFileRecord(file);
    if (await store.put(key, record)) return true;
    const there = await store.read(key);
    if (there !== null && bytesEqual(there, record)) return false;
    if (there !== null && (await isGoodRecord(file.hash, isGood))) return false;
    return store.put(key, record, { replace: true });
  }

  async function isGoodRecord(
    hash: MerkleHash,
    isGood: (record: ShardFile) => Promise<boolean>,
  ): Promise<boolean> {
    try {
      return await isGood(await readRecord(store, hash));
    } catch (error) {
      if (isDamage(error)) return false;
      throw error;
    }
  }

  return {
    async *files() {
      for await (const { key, modifiedMs } of store.list(FILES_PREFIX)) {
        const hash = MerkleHash.parse(key.slice(FILES_PREFIX.length));
        const sizeBytes = await sizeOf(store, hash);
        yield { hash, sizeBytes, createdMs: modifiedMs, shard: null };
      }
    },
    async file(hash) {
      return (await find(hash))?.load() ?? null;
    },
    find,
    shards: dedup.shards,
    async register({ shard, chunks, files, isGood }) {
      await mapLimited(chunks, CONCURRENT_CALLS, (chunk) =>
        store.put(chunkKey(chunk, shard), new Uint8Array(0)),
      );
      const stored = await mapLimited(files, CONCURRENT_CALLS, (file) => putFile(file, isGood));
      return stored.includes(true);
    },
    async remove(hashes) {
      const gone = await mapLimited(hashes, CONCURRENT_CALLS, (hash) =>
        store.delete(fileKey(hash)),
      );
      return gone.filter(Boolean).length;
    },
    async forgetShards(shards) {
      const names = new Set(shards.map((shard) => shard.toString()));
      for await (const { key } of store.list(CHUNKS_PREFIX)) {
        if (names.has(key.slice(key.lastIndexOf('/') + 1))) await store.delete(key);
      }
    },
  };
}

async function sizeOf(store: ObjectStore, hash: MerkleHash): Promise<number | null> {
  try {
    const { terms } = await readRecord(store, hash);
    return terms.reduce((sum, { unpackedBytes }) => sum + unpackedBytes, 0);
  } catch (error) {
    if (isDamage(error)) return null;
    throw error;
  }
}
