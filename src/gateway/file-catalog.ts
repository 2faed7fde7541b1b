import type { MerkleHash } from '../hash/index.js';
import { decodeShard, encodeShard, type ShardFile } from '../shard/index.js';
import { damaged } from './failures.js';
import { fileKey } from './keys.js';
import { createLruCache } from './lru.js';
import type { ObjectStore } from './ports.js';

/**
 * File records: `files/<hash>` is a shard in stored form with this one file and no xorbs. No format
 * of its own, so every tool that reads shards reads it.
 */

/** A registered file. */
export interface CatalogFile {
  readonly file: ShardFile;
  readonly sizeBytes: number;
}

export interface FileCatalog {
  /** Null when it is not registered. @throws OrbweaverError 500 `INTEGRITY` for a damaged record */
  get(hash: MerkleHash): Promise<CatalogFile | null>;
}

/** Bytes of the record of `file`. */
export function encodeFileRecord(file: ShardFile): Uint8Array {
  return encodeShard({ files: [file], xorbs: [], footer: null }, { variant: 'stored' });
}

/** Sum of the terms. */
export function fileSize(file: ShardFile): number {
  let sizeBytes = 0;
  for (const term of file.terms) sizeBytes += term.unpackedBytes;
  return sizeBytes;
}

/** Objects around each term and each hash, several times what they take as bytes. */
const MEMORY_PER_RECORD_BYTE = 6;

export function createFileCatalog(options: {
  store: ObjectStore;
  cacheBytes: number;
}): FileCatalog {
  const cache = createLruCache<CatalogFile>(options.cacheBytes);
  return {
    async get(hash: MerkleHash): Promise<CatalogFile | null> {
      const name = hash.toString();
      const known = cache.get(name);
      if (known !== undefined) return known;
      const bytes = await options.store.read(fileKey(hash));
      if (bytes === null) return null;
      const file = readRecord(hash, bytes);
      const entry = { file, sizeBytes: fileSize(file) };
      cache.set(name, entry, bytes.length * MEMORY_PER_RECORD_BYTE);
      return entry;
    },
  };
}

function readRecord(hash: MerkleHash, bytes: Uint8Array): ShardFile {
  let file: ShardFile | undefined;
  try {
    file = decodeShard(bytes).files[0];
  } catch (cause) {
    throw damaged(`the record of file ${hash} cannot be read`, cause);
  }
  if (file === undefined || !file.hash.equals(hash)) {
    throw damaged(`the record of file ${hash} belongs to another file`);
  }
  return sharingHashes(file);
}

/** Terms of one xorb hold one object for its hash, and so one text of it, however many they are. */
function sharingHashes(file: ShardFile): ShardFile {
  const hashes = new Map<string, MerkleHash>();
  const terms = file.terms.map((term) => {
    const name = term.xorb.toString();
    const known = hashes.get(name) ?? term.xorb;
    hashes.set(name, known);
    return { ...term, xorb: known };
  });
  return { ...file, terms };
}
