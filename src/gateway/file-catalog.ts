import { LRUCache } from 'lru-cache';
import type { MerkleHash } from '../hash/index.js';
import type { Term } from '../plan/index.js';
import { createShardReader, encodeShard, type ShardFile } from '../shard/index.js';
import { damaged } from './failures.js';
import { fileKey, piecesOfObject } from './keys.js';
import type { ObjectStore } from './ports.js';
import { createFlights, createYielder } from './turns.js';

/**
 * File records: `files/<hash>` is a shard in stored form with this one file and no xorbs. No format
 * of its own, so every tool that reads shards reads it. In memory a term is 16 bytes: a disk image
 * has hundreds of thousands of them.
 */

/** A registered file. */
export interface CatalogFile {
  readonly hash: MerkleHash;
  readonly sizeBytes: number;
  readonly termCount: number;
  /** Each once, in the order in which the file first uses it. */
  readonly xorbs: readonly MerkleHash[];
  /** Per term: index into `xorbs`, chunks `[start, end)`, uncompressed bytes. */
  readonly termXorbs: Uint32Array;
  readonly chunkStarts: Uint32Array;
  readonly chunkEnds: Uint32Array;
  readonly unpackedBytes: Uint32Array;
}

export interface FileCatalog {
  /** Null when it is not registered. @throws OrbweaverError `INTEGRITY` for a damaged record */
  get(hash: MerkleHash): Promise<CatalogFile | null>;
  readonly usedBytes: number;
}

/** Bytes of the record of `file`. */
export function encodeFileRecord(file: ShardFile): Uint8Array {
  return encodeShard({ files: [file], xorbs: [], footer: null }, { variant: 'stored' });
}

/** Term number `index`. */
export function termOf(file: CatalogFile, index: number): Term {
  return {
    xorb: file.xorbs[file.termXorbs[index] as number] as MerkleHash,
    chunkStart: file.chunkStarts[index] as number,
    chunkEnd: file.chunkEnds[index] as number,
    unpackedBytes: file.unpackedBytes[index] as number,
  };
}

const TERMS_PER_TURN = 16_384;

export function createFileCatalog(options: {
  store: ObjectStore;
  cacheBytes: number;
}): FileCatalog {
  const { store, cacheBytes } = options;
  const cache = new LRUCache<string, { readonly version: string; readonly file: CatalogFile }>({
    maxSize: cacheBytes,
    sizeCalculation: ({ file }) => 512 + 16 * file.termCount + 256 * file.xorbs.length,
  });
  const once = createFlights<CatalogFile>();
  return {
    async get(hash) {
      const name = hash.toString();
      const info = await store.head(fileKey(hash));
      if (info === null) return null;
      const { version } = info;
      const known = cache.get(name);
      if (known?.version === version) return known.file;
      return once(`${name} ${version}`, async () => {
        const file = await compact(await readRecord(store, hash));
        cache.set(name, { version, file });
        return file;
      });
    },
    get usedBytes() {
      return cache.calculatedSize;
    },
  };
}

/** @throws OrbweaverError `INTEGRITY` */
export async function readRecord(store: ObjectStore, hash: MerkleHash): Promise<ShardFile> {
  const reader = createShardReader();
  let file: ShardFile | undefined;
  try {
    for await (const piece of piecesOfObject(store, fileKey(hash))) {
      for (const event of reader.push(piece)) if (event.type === 'file') file ??= event.file;
    }
    reader.finish();
  } catch (cause) {
    throw damaged(`the record of file ${hash} cannot be read`, cause);
  }
  if (file === undefined || !file.hash.equals(hash)) {
    throw damaged(`the record of file ${hash} belongs to another file`);
  }
  return file;
}

async function compact({ hash, terms }: ShardFile): Promise<CatalogFile> {
  const yieldAfter = createYielder(TERMS_PER_TURN);
  const indexes = new Map<string, number>();
  const xorbs: MerkleHash[] = [];
  const column = (): Uint32Array => new Uint32Array(terms.length);
  const [termXorbs, chunkStarts, chunkEnds, unpackedBytes] = [
    column(),
    column(),
    column(),
    column(),
  ];
  let sizeBytes = 0;
  let last = -1;
  for (const [at, term] of terms.entries()) {
    // Runs of terms of one xorb are the rule.
    if (last < 0 || !(xorbs[last] as MerkleHash).equals(term.xorb)) {
      const name = term.xorb.toString();
      last = indexes.get(name) ?? xorbs.push(term.xorb) - 1;
      indexes.set(name, last);
    }
    termXorbs[at] = last;
    chunkStarts[at] = term.chunkStart;
    chunkEnds[at] = term.chunkEnd;
    unpackedBytes[at] = term.unpackedBytes;
    sizeBytes += term.unpackedBytes;
    await yieldAfter(1);
  }
  const termCount = terms.length;
  return { hash, sizeBytes, termCount, xorbs, termXorbs, chunkStarts, chunkEnds, unpackedBytes };
}
