import { LRUCache } from 'lru-cache';
import type { MerkleHash } from '../hash/index.js';
import type { Term } from '../plan/index.js';
import type { ShardFile } from '../shard/index.js';
import type { StoreIndex } from './store-index.js';
import { createFlights, createYielder } from './turns.js';

/**
 * Records of the files that are asked for, in memory: a term is 16 bytes there, because a disk image has
 * hundreds of thousands of them.
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

/** Term number `index`. */
export function termOf(file: CatalogFile, index: number): Term {
  return {
    xorb: file.xorbs[file.termXorbs[index] as number] as MerkleHash,
    chunkStart: file.chunkStarts[index] as number,
    chunkEnd: file.chunkEnds[index] as number,
    unpackedBytes: file.unpackedBytes[index] as number,
  };
}

export function createFileCatalog(options: {
  index: Pick<StoreIndex, 'find'>;
  cacheBytes: number;
}): FileCatalog {
  const { index, cacheBytes } = options;
  const cache = new LRUCache<string, { readonly version: string; readonly file: CatalogFile }>({
    maxSize: cacheBytes,
    sizeCalculation: ({ file }) => 512 + 16 * file.termCount + 256 * file.xorbs.length,
  });
  const once = createFlights<CatalogFile>();
  return {
    async get(hash) {
      const name = hash.toString();
      const found = await index.find(hash);
      if (found === null) return null;
      const { version } = found;
      const known = cache.get(name);
      if (known?.version === version) return known.file;
      return once(`${name} ${version}`, async () => {
        const file = await compact(await found.load());
        cache.set(name, { version, file });
        return file;
      });
    },
    get usedBytes() {
      return cache.calculatedSize;
    },
  };
}

async function compact({ hash, terms }: ShardFile): Promise<CatalogFile> {
  const yieldAfter = createYielder();
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
    const others = yieldAfter(1);
    if (others !== undefined) await others;
  }
  const termCount = terms.length;
  return { hash, sizeBytes, termCount, xorbs, termXorbs, chunkStarts, chunkEnds, unpackedBytes };
}
