import { HASH_BYTES, type MerkleHash, xorbHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import { decodeFooter, readStoredXorb, storedFooterBytes, type XorbInfo } from '../xorb/index.js';
import { damaged } from './failures.js';
import { xorbKey } from './keys.js';
import { createLruCache } from './lru.js';
import type { ObjectStore } from './ports.js';

/** What is known about a stored xorb without reading its records. */
export interface CatalogXorb extends XorbInfo {
  readonly chunkCount: number;
  /** Bytes of the records: what can be fetched. */
  readonly recordsBytes: number;
}

/** Footers of stored xorbs, read with ranged gets, the latest kept in memory. */
export interface XorbCatalog {
  /** Null when it is not stored. @throws OrbweaverError 500 `INTEGRITY` when its footer is damaged */
  get(hash: MerkleHash): Promise<CatalogXorb | null>;
}

/** First guess at a footer: 1600 chunks, more than a xorb has at the usual 64 KiB a chunk. */
const TAIL_GUESS_BYTES = 64 * 1024;

/**
 * Chunk hashes and lengths of a footer are held against the xorb's name: a footer that was changed
 * on disk is found here, not by a reader far away. Only record ends are outside of the name; they
 * have to rise and to end where the footer starts, and a record read at a wrong place does not decode
 * or has another hash, which every reader of ours checks.
 */
export function createXorbCatalog(options: {
  store: ObjectStore;
  hasher: Hasher;
  cacheBytes: number;
}): XorbCatalog {
  const { store, hasher } = options;
  const cache = createLruCache<CatalogXorb>(options.cacheBytes);
  const loading = new Map<string, Promise<CatalogXorb | null>>();

  async function load(hash: MerkleHash): Promise<CatalogXorb | null> {
    const key = xorbKey(hash);
    const object = await store.head(key);
    if (object === null) return null;
    const { sizeBytes } = object;
    const readTail = async (bytes: number): Promise<Uint8Array> => {
      const start = Math.max(0, sizeBytes - bytes);
      const tail = await store.read(key, { start, end: sizeBytes });
      if (tail === null) throw damaged(`xorb ${hash} disappeared while it was read`);
      return tail;
    };
    const tail = await readTail(TAIL_GUESS_BYTES);
    try {
      const footerBytes = storedFooterBytes(tail);
      const footer = decodeFooter(footerBytes <= tail.length ? tail : await readTail(footerBytes));
      const { chunkHashes, recordEnds } = footer;
      const recordsBytes = sizeBytes - footer.footerBytes;
      // Footers of version 0 have no lengths: they stand in the record headers.
      const rawEnds = footer.rawEnds ?? readStoredXorb(await readTail(sizeBytes)).rawEnds;
      const chunkCount = recordEnds.length;
      if (recordEnds[chunkCount - 1] !== recordsBytes) {
        throw damaged(`xorb ${hash} has ${recordsBytes} bytes of records, its footer says others`);
      }
      if (!xorbHash(hasher, chunkHashes, chunkLengths(rawEnds)).equals(hash)) {
        throw damaged(`the footer of xorb ${hash} belongs to another xorb`);
      }
      return { hash, chunkHashes, recordEnds, rawEnds, chunkCount, recordsBytes };
    } catch (error) {
      throw damagedXorb(hash, error);
    }
  }

  return {
    get(hash: MerkleHash): Promise<CatalogXorb | null> {
      const name = hash.toString();
      const known = cache.get(name);
      if (known !== undefined) return Promise.resolve(known);
      const running = loading.get(name);
      if (running !== undefined) return running;
      const started = load(hash)
        .then((xorb) => {
          if (xorb !== null) cache.set(name, xorb, weightBytes(xorb));
          return xorb;
        })
        .finally(() => loading.delete(name));
      loading.set(name, started);
      return started;
    },
  };
}

/** Uncompressed bytes of chunks `[start, end)`. */
export function rawBytesOf(rawEnds: Uint32Array, start: number, end: number): number {
  return endOf(rawEnds, end) - endOf(rawEnds, start);
}

/** Where the first `count` entries of a list of ends come to. */
export function endOf(ends: Uint32Array, count: number): number {
  return count === 0 ? 0 : (ends[count - 1] as number);
}

function chunkLengths(rawEnds: Uint32Array): Uint32Array {
  return rawEnds.map((end, index) => end - endOf(rawEnds, index));
}

function damagedXorb(hash: MerkleHash, error: unknown): Error {
  if (error instanceof Error && 'fields' in error && isMarked(error.fields)) return error;
  return damaged(`the footer of xorb ${hash} cannot be read`, error);
}

function isMarked(fields: unknown): boolean {
  return typeof fields === 'object' && fields !== null && 'stored' in fields;
}

// Hashes, two ends, and the objects around them.
const weightBytes = (xorb: CatalogXorb): number => xorb.chunkCount * (HASH_BYTES + 8) + 512;
