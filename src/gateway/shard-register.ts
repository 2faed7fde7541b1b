import { isOrbweaverError } from '../errors.js';
import type { MerkleHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import { encodeShard, shardKey } from '../shard/index.js';
import { failure } from './failures.js';
import { encodeFileRecord } from './file-catalog.js';
import { chunkKey, fileKey, shardObjectKey } from './keys.js';
import type { ObjectStore } from './ports.js';
import type { CheckedShard } from './shard-check.js';
import { mapLimited } from './streams.js';

/** What registering did. */
export interface Registration {
  /** 1: something new is registered; 0: all of it was there. */
  readonly result: 0 | 1;
  /** Name of the stored shard: hash of the bytes as written here, not of the bytes that came. */
  readonly shardHash: MerkleHash;
}

const CONCURRENT_PUTS = 16;

/**
 * Stores a checked shard. The order is what makes a crash harmless: the shard, then the dedup index
 * that points to it, then the files. A file exists when its record does, and by then all that it
 * needs is stored; whatever an interrupted registration leaves is unreachable, and the same upload
 * again completes it, because every write is "if absent".
 */
export async function registerShard(
  shard: CheckedShard,
  parts: { store: ObjectStore; hasher: Hasher },
): Promise<Registration> {
  const { store, hasher } = parts;
  const bytes = encodeStored(shard);
  const shardHash = shardKey(hasher, bytes);
  const newShard = await store.put(shardObjectKey(shardHash), bytes);
  await mapLimited(shard.indexedChunks, CONCURRENT_PUTS, (chunk) =>
    store.put(chunkKey(chunk, shardHash), new Uint8Array(0)),
  );
  const newFiles = await mapLimited(shard.files, CONCURRENT_PUTS, (file) =>
    store.put(fileKey(file.hash), encodeFileRecord(file)),
  );
  return { result: newShard || newFiles.includes(true) ? 1 : 0, shardHash };
}

/** The stored form has a footer: an upload that fills the limit to its last bytes has no room for it. */
function encodeStored({ files, xorbs }: CheckedShard): Uint8Array {
  try {
    return encodeShard({ files, xorbs, footer: null }, { variant: 'stored' });
  } catch (error) {
    if (!isOrbweaverError(error) || error.code !== 'LIMIT_EXCEEDED') throw error;
    throw failure(413, 'LIMIT_EXCEEDED', `shard: ${error.message}`, error);
  }
}
