import {
  access,
  appendFile,
  constants,
  readdir,
  readFile,
  stat,
  unlink,
  utimes,
} from 'node:fs/promises';
import { join } from 'node:path';
import type { CachedShard, ShardCache } from '../client/ports.js';
import { type Clock, Deferred } from '../flow/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import { writeFileAtomic } from './atomic-write.js';
import { outputError } from './errno.js';
import { makeFolder } from './folder.js';
import { entriesFor, KeyIndex, liveEntries } from './key-index.js';

/**
 * Shards on disk for dedup across runs, a folder for each endpoint:
 *
 *     <dir>/<endpoint>/<first 8 bytes of SHA-256>.<expiry, Unix seconds>.<bytes>.shard
 *     <dir>/<endpoint>/index        which shard knows which chunks (`key-index.ts`)
 *
 * A run reads the index, which is a thousandth of the data, and those shards that know something of
 * what is uploaded. Names carry digest, expiry and size, so that a damaged file is found without
 * knowing the format, an expired one without reading it, and the sum of all without looking at each.
 *
 * Any number of processes share a folder without locks: shards are renamed into place, index entries
 * appended in one write, and an entry that points to nothing is a miss. The limit holds for all
 * endpoints together, oldest use first, and is enforced before a shard is written.
 *
 * Everything is best effort and never throws, except that the folder must be creatable.
 */
export interface ShardCacheOptions {
  /** Folder of the cache, created when missing. */
  readonly dir: string;
  /** Whose shards these are: the base URL of the store. Only its digest is written. */
  readonly endpoint: string;
  /**
   * Most bytes of all shards of all endpoints together.
   * @default 1073741824 (1 GiB: about 20 million chunks)
   */
  readonly maxBytes?: number | undefined;
  /** @default the clock of the machine */
  readonly clock?: Clock | undefined;
}

/** Most bytes of a cache when nothing else is said. */
export const DEFAULT_CACHE_BYTES: number = 1024 * 1024 * 1024;

const SHARD_NAME = /^([0-9a-f]{16})\.([0-9]{1,15})\.([0-9]{1,15})\.shard$/;
const INDEX_NAME = 'index';

/** Temporary files of writers that died are removed after this time. */
const LEFTOVER_MS: number = 60 * 60 * 1000;

/** The index is written anew when this part of it points to shards that are gone. */
const MAX_DEAD_SHARE = 0.5;

interface Entry {
  readonly folder: string;
  readonly digest: string;
  readonly path: string;
  readonly sizeBytes: number;
  readonly expiresAtSeconds: number;
}

/**
 * Opens a cache of shards.
 *
 * @throws RangeError for a negative limit; OrbweaverError `OUTPUT_UNWRITABLE` when the folder cannot
 * be made or written
 * @example
 * const cache = await createShardCache({ dir: '.cache/orbweaver', endpoint: 'https://cas.example.com' });
 */
export async function createShardCache(options: ShardCacheOptions): Promise<ShardCache> {
  const { dir, endpoint, maxBytes = DEFAULT_CACHE_BYTES, clock = SYSTEM_CLOCK } = options;
  if (!Number.isSafeInteger(maxBytes) || maxBytes < 0) {
    throw new RangeError(`"maxBytes" expected an integer of at least 0, got ${maxBytes}`);
  }
  const folder = join(dir, await digestOf(new TextEncoder().encode(endpoint)));
  try {
    await makeFolder(folder, { mode: 0o700 });
    await access(folder, constants.W_OK);
  } catch (error) {
    throw outputError(error, folder);
  }
  return new DiskShardCache({ dir, folder, maxBytes, clock });
}

class DiskShardCache implements ShardCache {
  readonly #dir: string;
  readonly #folder: string;
  readonly #maxBytes: number;
  readonly #clock: Clock;
  /** Read with the first question. */
  #index: Promise<KeyIndex> | null = null;
  /** Shards of this endpoint by the digest in their name; read together with the index. */
  readonly #shards = new Map<string, Entry>();
  /** Puts run one after another, so that two of them cannot fill the same space. */
  #lastPut: Promise<unknown> = Promise.resolve();

  constructor(parts: { dir: string; folder: string; maxBytes: number; clock: Clock }) {
    this.#dir = parts.dir;
    this.#folder = parts.folder;
    this.#maxBytes = parts.maxBytes;
    this.#clock = parts.clock;
  }

  async find(keys: Uint8Array): Promise<readonly CachedShard[]> {
    try {
      this.#index ??= this.#open();
      const index = await this.#index;
      const names = new Set<string>();
      for (let at = 0; at + 8 <= keys.length; at += 8) index.collect(keys, at, names);
      const found: CachedShard[] = [];
      for (const name of names) {
        const entry = this.#shards.get(name);
        if (entry !== undefined) found.push(this.#cached(entry));
      }
      return found;
    } catch {
      return [];
    }
  }

  put(shard: Uint8Array, keys: Uint8Array, expiresAtSeconds: number): Promise<boolean> {
    const done = new Deferred<boolean>();
    this.#lastPut = this.#lastPut.then(async () => {
      done.resolve(await this.#put(shard, keys, Math.floor(expiresAtSeconds)).catch(() => false));
    });
    return done.promise;
  }

  async #open(): Promise<KeyIndex> {
    const nowSeconds = this.#clock.unixMs() / 1000;
    for (const name of await readdir(this.#folder)) {
      const entry = entryOf(this.#folder, name);
      if (entry === null) continue;
      if (entry.expiresAtSeconds > nowSeconds) this.#shards.set(entry.digest, entry);
      else await remove(entry.path);
    }
    const path = join(this.#folder, INDEX_NAME);
    const entries = await readFile(path).catch(() => new Uint8Array(0));
    const live = liveEntries(entries, (name) => this.#shards.has(name));
    if (live.length < entries.length * (1 - MAX_DEAD_SHARE)) {
      await writeFileAtomic(path, live, { mode: 0o600 }).catch(() => 0);
    }
    return new KeyIndex(live);
  }

  #cached({ digest, path, sizeBytes }: Entry): CachedShard {
    const drop = async (): Promise<void> => {
      this.#shards.delete(digest);
      await remove(path);
    };
    const read = async (): Promise<Uint8Array | null> => {
      try {
        const { size } = await stat(path);
        const bytes = size === sizeBytes ? await readFile(path) : new Uint8Array(0);
        if ((await digestOf(bytes)) === digest) {
          // Used now: what was not used for longest goes first.
          const now = new Date(this.#clock.unixMs());
          await utimes(path, now, now).catch(() => undefined);
          return bytes;
        }
      } catch {
        // Unreadable or removed by another process: a miss.
      }
      await drop();
      return null;
    };
    return { id: digest, sizeBytes, read, drop };
  }

  async #put(shard: Uint8Array, keys: Uint8Array, expiry: number): Promise<boolean> {
    const tooLate = !(expiry * 1000 > this.#clock.unixMs());
    if (shard.length === 0 || shard.length > this.#maxBytes || tooLate) return false;
    const digest = await digestOf(shard);
    const entry = entryOf(this.#folder, `${digest}.${expiry}.${shard.length}.shard`);
    if (entry === null) return false;
    const before = this.#shards.get(digest);
    if (before !== undefined) await remove(before.path);
    await this.#makeSpace(shard.length);
    await writeFileAtomic(entry.path, shard, { mode: 0o600 });
    const entries = entriesFor(keys, digest);
    await appendFile(join(this.#folder, INDEX_NAME), entries, { mode: 0o600 });
    this.#shards.set(digest, entry);
    if (this.#index !== null) (await this.#index).add(entries);
    return true;
  }

  /** Removes what has expired, and what was not used for longest until `bytes` more fit. */
  async #makeSpace(bytes: number): Promise<void> {
    const nowSeconds = this.#clock.unixMs() / 1000;
    const live: Entry[] = [];
    let total = bytes;
    for (const entry of await this.#list()) {
      if (entry.expiresAtSeconds > nowSeconds) {
        live.push(entry);
        total += entry.sizeBytes;
      } else await this.#remove(entry);
    }
    if (total <= this.#maxBytes) return;
    const used: { readonly entry: Entry; readonly usedMs: number }[] = [];
    for (const entry of live) {
      const stats = await stat(entry.path).catch(() => null);
      if (stats === null) total -= entry.sizeBytes;
      else used.push({ entry, usedMs: stats.mtimeMs });
    }
    used.sort((a, b) => a.usedMs - b.usedMs || (a.entry.path < b.entry.path ? -1 : 1));
    for (const { entry } of used) {
      if (total <= this.#maxBytes) return;
      await this.#remove(entry);
      total -= entry.sizeBytes;
    }
  }

  async #remove({ folder, digest, path }: Entry): Promise<void> {
    await remove(path);
    if (folder === this.#folder) this.#shards.delete(digest);
  }

  /** The shards of all endpoints; also clears away what dead writers left. */
  async #list(): Promise<Entry[]> {
    const entries: Entry[] = [];
    for (const endpoint of await readdir(this.#dir, { withFileTypes: true })) {
      if (!endpoint.isDirectory()) continue;
      const folder = join(this.#dir, endpoint.name);
      for (const name of await readdir(folder).catch((): string[] => [])) {
        const entry = entryOf(folder, name);
        if (entry !== null) entries.push(entry);
        else if (name.endsWith('.orbweaver-part')) await this.#removeLeftover(join(folder, name));
      }
    }
    return entries;
  }

  async #removeLeftover(path: string): Promise<void> {
    const stats = await stat(path).catch(() => null);
    if (stats !== null && this.#clock.unixMs() - stats.mtimeMs > LEFTOVER_MS) await remove(path);
  }
}

/** What the name of a file says; null: it is no shard. */
function entryOf(folder: string, name: string): Entry | null {
  const match = SHARD_NAME.exec(name);
  if (match === null) return null;
  const [, digest = '', expiry, size] = match;
  return {
    folder,
    digest,
    path: join(folder, name),
    sizeBytes: Number(size),
    expiresAtSeconds: Number(expiry),
  };
}

async function remove(path: string): Promise<void> {
  await unlink(path).catch(() => {});
}

/** The first 8 bytes of the SHA-256, 16 hexadecimal digits. */
async function digestOf(bytes: Uint8Array): Promise<string> {
  // A copy: Web Crypto refuses views of shared memory, and a shard is small.
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(bytes)));
  return Array.from(digest.subarray(0, 8), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
