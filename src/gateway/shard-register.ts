import { bytesEqualInSteps } from '../bytes/index.js';
import { isOrbweaverError } from '../errors.js';
import { createMerkleTree, HASH_BYTES, type MerkleHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import { encodeShardInSteps, longShardKey, type ShardFile } from '../shard/index.js';
import type { DamageList } from './damage-list.js';
import type { DedupResponses } from './dedup-responses.js';
import { failure, isDamage } from './failures.js';
import { shardObjectKey } from './keys.js';
import type { ObjectStore } from './ports.js';
import { type CheckedShard, MAX_PROOF_BYTES } from './shard-check.js';
import { allIndexedChunks, type ShardOutlines } from './shard-outline.js';
import type { StoreIndex } from './store-index.js';
import { createYielder, inSteps, pause } from './turns.js';
import { rawBytesOf, type XorbCatalog } from './xorb-catalog.js';
import type { XorbHealth } from './xorb-health.js';

/** What registering did. */
export interface Registration {
  /** 1: something new is registered, or something damaged replaced; 0: all of it was there. */
  readonly result: 0 | 1;
  /** Name of the stored shard: hash of the bytes as written here, not of the bytes that came. */
  readonly shardHash: MerkleHash;
}

/** What registering needs. */
export interface RegisterParts {
  readonly store: ObjectStore;
  readonly index: StoreIndex;
  readonly hasher: Hasher;
  readonly health: XorbHealth;
  readonly damage: DamageList;
  readonly xorbs: XorbCatalog;
  readonly outlines: ShardOutlines;
  readonly dedup: DedupResponses;
}

/**
 * Stores a checked shard. The order is what makes a crash harmless: the shard, then the dedup index
 * that points to it, then the files. A file exists when its record does, and by then all that it
 * needs is stored; whatever an interrupted registration leaves is unreachable, and the same upload
 * again completes it, because every write is "if absent", or in place of something damaged.
 */
export async function registerShard(
  shard: CheckedShard,
  parts: RegisterParts,
): Promise<Registration> {
  const { index, hasher, outlines, dedup } = parts;
  const bytes = await encodeStored(shard);
  const shardHash = await longShardKey(hasher, bytes, pause);
  const newShard = await putShard(parts, shardHash, bytes);
  outlines.set(shardHash, shard.outline);
  const newFiles = await index.register({
    shard: shardHash,
    chunks: await allIndexedChunks(shard.outline),
    files: shard.files,
    isGood: (record) => isGood(parts, record),
  });
  dedup.forget();
  return { result: newShard || newFiles ? 1 : 0, shardHash };
}

/** True when it was stored: it is new, or what was there had other bytes. */
async function putShard(
  { store, damage }: Pick<RegisterParts, 'store' | 'damage'>,
  hash: MerkleHash,
  bytes: Uint8Array,
): Promise<boolean> {
  const key = shardObjectKey(hash);
  if (await store.put(key, bytes)) return true;
  const info = await store.head(key);
  if (info?.intact === true && !(await damage.has(key, info.version))) return false;
  const there = await store.read(key);
  if (there !== null && (await inSteps(bytesEqualInSteps(there, bytes)))) return false;
  return store.put(key, bytes, { replace: true });
}

const CHUNKS_PER_TURN = 2048;

/** Whether the record that is there, another way to build the file, still builds it. */
async function isGood(parts: RegisterParts, { hash, terms }: ShardFile): Promise<boolean> {
  const { health, xorbs, hasher } = parts;
  const yieldAfter = createYielder(CHUNKS_PER_TURN);
  const allowance = { bytes: MAX_PROOF_BYTES };
  try {
    const tree = createMerkleTree(hasher);
    for (const { xorb, chunkStart, chunkEnd } of terms) {
      if ((await health.prove(xorb, allowance)) !== 'sound') return false;
      const known = await xorbs.get(xorb);
      if (known === null || chunkStart >= chunkEnd || chunkEnd > known.chunkCount) return false;
      for (let chunk = chunkStart; chunk < chunkEnd; chunk++) {
        const bytes = rawBytesOf(known.rawEnds, chunk, chunk + 1);
        tree.push(known.chunkHashes, chunk * HASH_BYTES, bytes);
      }
      await yieldAfter(chunkEnd - chunkStart);
    }
    return tree.fileHash().equals(hash);
  } catch (error) {
    if (isDamage(error)) return false;
    throw error;
  }
}

/** The stored form has a footer: an upload that fills the limit to its last bytes has no room for it. */
async function encodeStored({ files, xorbs }: CheckedShard): Promise<Uint8Array> {
  try {
    return await inSteps(encodeShardInSteps({ files, xorbs, footer: null }, { variant: 'stored' }));
  } catch (error) {
    if (!isOrbweaverError(error) || error.code !== 'LIMIT_EXCEEDED') throw error;
    throw failure(413, 'LIMIT_EXCEEDED', `shard: ${error.message}`, error);
  }
}
