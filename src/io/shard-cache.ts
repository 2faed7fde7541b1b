import { readdir, readFile, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { CachedShard, ShardCache } from '../client/ports.js';
import { writeFileAtomic } from './atomic-write.js';
import { outputError } from './errno.js';
import { makeFolder } from './folder.js';

/**
 * Shards on disk for dedup across runs: one file each, named by what it holds and until when,
 *
 *     <first 16 bytes of SHA-256, hex>.<expiry, Unix seconds>.shard
 *
 * so that a damaged file is found without knowing the format, and an expired one without reading
 * it. The limit is hard: room is made before a file is written. Several processes may share a
 * folder; each looks at the folder as it is. Everything here is best effort and never throws,
 * except that the folder must be creatable.
 */
export interface ShardCacheOptions {
  /** Folder, created when missing. */
  readonly dir: string;
  /**
   * Most bytes of all shards together.
   * @default 268435456 (256 MiB: about 3.5 million chunks)
   */
  readonly maxBytes?: number | undefined;
  /** Unix time in milliseconds. @default Date.now */
  readonly now?: (() => number) | undefined;
}

const DEFAULT_MAX_BYTES: number = 256 * 1024 * 1024;

const SHARD_NAME = /^([0-9a-f]{32})\.([0-9]{1,15})\.shard$/;

/** Temporary files of writers that died are removed after this time. */
const LEFTOVER_MS: number = 60 * 60 * 1000;

interface Entry {
  readonly path: string;
  readonly digest: string;
  readonly expiresAtSeconds: number;
  readonly sizeBytes: number;
  readonly writtenMs: number;
}

/**
 * Opens a cache of shards. It is opt-in: nothing is kept unless a folder is named.
 *
 * @throws OrbweaverError `OUTPUT_UNWRITABLE` when the folder cannot be created
 * @example
 * const cache = await createShardCache({ dir: '.cache/orbweaver', maxBytes: 64 << 20 });
 */
export async function createShardCache(options: ShardCacheOptions): Promise<ShardCache> {
  const { dir, maxBytes = DEFAULT_MAX_BYTES, now = Date.now } = options;
  if (!Number.isSafeInteger(maxBytes) || maxBytes < 0) {
    throw new RangeError(`"maxBytes" expected an integer of at least 0, got ${maxBytes}`);
  }
  await makeFolder(dir).catch((error: unknown) => {
    throw outputError(error, dir);
  });
  /** Puts run one after another, so that two of them cannot fill the same room. */
  let turn: Promise<unknown> = Promise.resolve();

  return {
    async *load(nowSeconds) {
      for (const entry of (await list(dir, now())).reverse()) {
        if (entry.expiresAtSeconds <= nowSeconds) {
          await remove(entry.path);
          continue;
        }
        const shard = await readEntry(entry);
        if (shard !== null) yield shard;
      }
    },
    put(shard, expiresAtSeconds) {
      const done = turn.then(async () => {
        try {
          return await put(dir, maxBytes, now(), shard, expiresAtSeconds);
        } catch {
          return false;
        }
      });
      turn = done;
      return done;
    },
  };
}

async function put(
  dir: string,
  maxBytes: number,
  nowMs: number,
  shard: Uint8Array,
  expiresAtSeconds: number,
): Promise<boolean> {
  const expiry = Math.floor(expiresAtSeconds);
  if (shard.length === 0 || shard.length > maxBytes || !(expiry * 1000 > nowMs)) return false;
  const digest = await digestOf(shard);
  const name = `${digest}.${expiry}.shard`;
  if (!SHARD_NAME.test(name)) return false;
  const entries = await list(dir, nowMs);
  const kept = entries.filter(
    (entry) => entry.digest !== digest && entry.expiresAtSeconds * 1000 > nowMs,
  );
  const gone = entries.filter((entry) => !kept.includes(entry) && entry.path !== join(dir, name));
  let total = shard.length;
  for (const entry of kept) total += entry.sizeBytes;
  while (total > maxBytes) {
    const oldest = kept.shift();
    if (oldest === undefined) break;
    total -= oldest.sizeBytes;
    gone.push(oldest);
  }
  for (const entry of gone) await remove(entry.path);
  await writeFileAtomic(join(dir, name), shard);
  return true;
}

async function readEntry(entry: Entry): Promise<CachedShard | null> {
  try {
    const bytes = await readFile(entry.path);
    if ((await digestOf(bytes)) === entry.digest) {
      return { bytes, drop: () => remove(entry.path) };
    }
  } catch {
    // Unreadable or removed by another process: a miss.
  }
  await remove(entry.path);
  return null;
}

/** The shards in the folder, oldest first; also clears away what dead writers left. */
async function list(dir: string, nowMs: number): Promise<Entry[]> {
  const entries: Entry[] = [];
  for (const name of await readdir(dir).catch((): string[] => [])) {
    const path = join(dir, name);
    const match = SHARD_NAME.exec(name);
    const isPart = name.endsWith('.orbweaver-part');
    if (match === null && !isPart) continue;
    const stats = await stat(path).catch(() => null);
    if (stats === null) continue;
    if (match === null) {
      if (nowMs - stats.mtimeMs > LEFTOVER_MS) await remove(path);
      continue;
    }
    entries.push({
      path,
      digest: match[1] as string,
      expiresAtSeconds: Number(match[2]),
      sizeBytes: stats.size,
      writtenMs: stats.mtimeMs,
    });
  }
  return entries.sort((a, b) => a.writtenMs - b.writtenMs || (a.path < b.path ? -1 : 1));
}

async function remove(path: string): Promise<void> {
  await unlink(path).catch(() => {});
}

async function digestOf(bytes: Uint8Array): Promise<string> {
  // A copy: Web Crypto refuses views of shared memory, and a shard is small.
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', new Uint8Array(bytes)));
  return Array.from(digest.subarray(0, 16), (byte) => byte.toString(16).padStart(2, '0')).join('');
}
