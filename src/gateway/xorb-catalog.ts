import { LRUCache } from 'lru-cache';
import { HASH_BYTES, type MerkleHash, xorbHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import { decodeFooter, readStoredXorb, storedFooterBytes, type XorbInfo } from '../xorb/index.js';
import { damaged, isDamage } from './failures.js';
import { xorbKey } from './keys.js';
import type { ObjectInfo, ObjectStore, ObjectTail } from './ports.js';
import { createFlights, createOneByOne } from './turns.js';

/** What is known about a stored xorb without reading its records. */
export interface CatalogXorb extends XorbInfo {
  readonly chunkCount: number;
  /** Bytes of the records: what can be fetched. */
  readonly recordsBytes: number;
  /** Of the object, footer included. */
  readonly sizeBytes: number;
  /** Of the object that was read. */
  readonly version: string;
}

/** Footers of stored xorbs, read with ranged gets, the latest kept in memory. */
export interface XorbCatalog {
  /**
   * Looks at the object each time and reads its footer when it is another one than before; `info` is
   * what the caller has just seen. Null when it is not stored.
   * @throws OrbweaverError `INTEGRITY` when its footer is damaged
   */
  get(hash: MerkleHash, info?: ObjectInfo): Promise<CatalogXorb | null>;
  /** What is in memory: for those who find out themselves when the object is another one now. */
  cached(hash: MerkleHash): CatalogXorb | undefined;
  forget(hash: MerkleHash): void;
  readonly usedBytes: number;
}

/** First guess at a footer: 1600 chunks, more than a xorb has at the usual 64 KiB a chunk. */
const TAIL_GUESS_BYTES = 64 * 1024;
/** A thousand chunks. */
const LONG_FOOTER_BYTES = 40 * 1024;

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
  const cache = new LRUCache<string, CatalogXorb>({
    maxSize: options.cacheBytes,
    sizeCalculation: weightBytes,
  });
  const once = createFlights<CatalogXorb | null>();
  const oneByOne = createOneByOne();

  async function load(
    hash: MerkleHash,
    info: ObjectInfo,
    known?: Uint8Array,
  ): Promise<CatalogXorb> {
    const key = xorbKey(hash);
    const { sizeBytes, version } = info;
    const readTail = async (bytes: number): Promise<Uint8Array> => {
      const start = Math.max(0, sizeBytes - bytes);
      const tail = await store.read(key, { start, end: sizeBytes });
      if (tail === null) throw damaged(`xorb ${hash} disappeared while it was read`);
      return tail;
    };
    const tail = known ?? (await readTail(TAIL_GUESS_BYTES));
    try {
      const footerBytes = storedFooterBytes(tail);
      const bytes = footerBytes <= tail.length ? tail : await readTail(footerBytes);
      // Footers of many xorbs come at the same time, and decoding and hashing a long one takes milliseconds.
      if (footerBytes > LONG_FOOTER_BYTES) await oneByOne();
      const footer = decodeFooter(bytes);
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
      return {
        hash,
        chunkHashes,
        recordEnds,
        rawEnds,
        chunkCount,
        recordsBytes,
        sizeBytes,
        version,
      };
    } catch (error) {
      throw isDamage(error) ? error : damaged(`the footer of xorb ${hash} cannot be read`, error);
    }
  }

  return {
    async get(hash, known) {
      const name = hash.toString();
      if (known === undefined && store.readTail !== undefined && !cache.has(name)) {
        return once(name, async () => {
          // One request in place of two, where each costs as much as all of the rest.
          const found: ObjectTail | null | undefined = await store.readTail?.(
            xorbKey(hash),
            TAIL_GUESS_BYTES,
          );
          if (found === null || found === undefined) return null;
          const xorb = await load(hash, found.info, found.bytes);
          cache.set(name, xorb);
          return xorb;
        });
      }
      const info = known ?? (await store.head(xorbKey(hash)));
      if (info === null) {
        cache.delete(name);
        return null;
      }
      const cached = cache.get(name);
      if (cached?.version === info.version) return cached;
      return once(`${name} ${info.version}`, async () => {
        const xorb = await load(hash, info);
        cache.set(name, xorb);
        return xorb;
      });
    },
    cached: (hash) => cache.get(hash.toString()),
    forget: (hash) => {
      cache.delete(hash.toString());
    },
    get usedBytes() {
      return cache.calculatedSize;
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

// Hashes, two ends, and the objects around them.
const weightBytes = (xorb: CatalogXorb): number => xorb.chunkCount * (HASH_BYTES + 8) + 512;
