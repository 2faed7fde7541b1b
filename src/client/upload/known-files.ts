import { concatBytes } from '../../bytes/index.js';
import { CACHE_KEY_BYTES } from '../../dedup/index.js';
import type { Clock } from '../../flow/index.js';
import type { ShardFile } from '../../shard/index.js';
import type { CachedShard, ShardCache } from '../ports.js';
import {
  decodeFileRecords,
  encodeFileRecords,
  type FileRecord,
  type FileRecords,
} from './file-records.js';

/** Files stay known for so long; then they are read again, once. */
const LIFETIME_SECONDS = 30 * 24 * 60 * 60;
/** Records that are written together: so many, of so many terms, or those of so long. */
const GROUP_FILES = 1024;
const GROUP_TERMS = 16_384;
const GROUP_MS = 2000;
/** Groups that are kept in memory; files come in the order in which they were written as a rule. */
const KEPT_GROUPS = 4;

/**
 * Files whose content this machine has uploaded before, told again by what a source says of itself
 * (`Source.identity`): an unchanged one need not be read. Its record is registered again instead, by
 * which the store proves that it still has all of it, many thousands of files in one request.
 *
 * The cache is any that finds bytes by keys; here the keys are parts of identities. An optimisation:
 * what cannot be read is a file that is not known.
 */
export class KnownFiles {
  readonly #cache: ShardCache;
  readonly #clock: Clock;
  /** By id of the cache, used last at the end. */
  readonly #groups = new Map<string, Promise<Group | null>>();
  #pending: FileRecord[] = [];
  #pendingTerms = 0;
  #pendingSinceMs = 0;
  #writes: Promise<unknown> = Promise.resolve();

  constructor(cache: ShardCache, clock: Clock) {
    this.#cache = cache;
    this.#clock = clock;
  }

  /** The record of each, or null. Never rejects. */
  async find(identities: readonly (Uint8Array | undefined)[]): Promise<(ShardFile | null)[]> {
    const keys = identities.flatMap((each) => (each === undefined ? [] : [keyOf(each)]));
    const found = keys.length === 0 ? [] : await this.#cache.find(concatBytes(keys));
    if (found.length === 0) return identities.map(() => null);
    const groups = (await Promise.all(found.map((shard) => this.#read(shard))))
      .filter((group) => group !== null)
      .sort((a, b) => b.writtenAtMs - a.writtenAtMs);
    return identities.map((identity) => {
      const text = identity === undefined ? '' : textOf(identity);
      for (const { files } of groups) {
        const file = files.get(text);
        if (file !== undefined) return file;
      }
      return null;
    });
  }

  /** Remembers files that are stored, soon. */
  remember(records: readonly FileRecord[]): void {
    const nowMs = this.#clock.now();
    if (this.#pending.length === 0) this.#pendingSinceMs = nowMs;
    for (const record of records) {
      this.#pending.push(record);
      this.#pendingTerms += record.file.terms.length;
      if (this.#pending.length >= GROUP_FILES || this.#pendingTerms >= GROUP_TERMS) this.#write();
    }
    if (nowMs - this.#pendingSinceMs >= GROUP_MS) this.#write();
  }

  /** Resolves when all is written, as far as it can be. */
  async written(): Promise<void> {
    this.#write();
    await this.#writes;
  }

  #write(): void {
    if (this.#pending.length === 0) return;
    const records = this.#pending;
    this.#pending = [];
    this.#pendingTerms = 0;
    const writtenAtMs = Math.floor(this.#clock.unixMs());
    const put = async (): Promise<void> => {
      const keys = concatBytes(records.map(({ identity }) => keyOf(identity)));
      const bytes = encodeFileRecords({ writtenAtMs, records });
      await this.#cache.put(bytes, keys, Math.floor(writtenAtMs / 1000) + LIFETIME_SECONDS);
    };
    // What cannot be kept is read the next time.
    this.#writes = this.#writes.then(put).catch(() => undefined);
  }

  #read(shard: CachedShard): Promise<Group | null> {
    const reading = this.#groups.get(shard.id) ?? readGroup(shard);
    this.#groups.delete(shard.id);
    this.#groups.set(shard.id, reading);
    for (const id of this.#groups.keys()) {
      if (this.#groups.size <= KEPT_GROUPS) break;
      this.#groups.delete(id);
    }
    return reading;
  }
}

interface Group {
  readonly writtenAtMs: number;
  /** By identity as text. */
  readonly files: ReadonlyMap<string, ShardFile>;
}

async function readGroup(shard: CachedShard): Promise<Group | null> {
  const bytes = await shard.read().catch(() => null);
  if (bytes === null) return null;
  let decoded: FileRecords;
  try {
    decoded = decodeFileRecords(bytes);
  } catch {
    await shard.drop();
    return null;
  }
  const { writtenAtMs, records } = decoded;
  return {
    writtenAtMs,
    files: new Map(records.map(({ identity, file }) => [textOf(identity), file])),
  };
}

/** The key of the cache: a mixture, because identities differ in few bits. Two may have one key. */
function keyOf(identity: Uint8Array): Uint8Array {
  const view = new DataView(identity.buffer, identity.byteOffset, identity.byteLength);
  let low = 0x9e3779b9;
  let high = 0x85ebca6b;
  for (let at = 0; at + 4 <= identity.length; at += 4) {
    low = Math.imul(low ^ view.getUint32(at), 0x85ebca6b);
    low ^= low >>> 13;
    high = Math.imul(high ^ low, 0xc2b2ae35);
    high ^= high >>> 16;
  }
  const key = new Uint8Array(CACHE_KEY_BYTES);
  const out = new DataView(key.buffer);
  out.setUint32(0, low);
  out.setUint32(4, high);
  return key;
}

function textOf(identity: Uint8Array): string {
  return String.fromCharCode(...identity);
}
