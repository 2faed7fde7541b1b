import { MerkleHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import {
  encodeShard,
  FOOTER_BYTES,
  keyShard,
  RECORD_BYTES,
  type Shard,
  type ShardXorb,
} from '../shard/index.js';
import { addIndexedChunks, type OutlineParts, tolerant, xorbsInOrder } from './dedup-outline.js';
import { chunkPrefix } from './keys.js';
import type { ObjectEntry, ObjectStore } from './ports.js';
import type { GatewaySecrets } from './secrets.js';
import type { ShardCatalog } from './shard-catalog.js';
import { pause } from './streams.js';
import { type CatalogXorb, endOf } from './xorb-catalog.js';

/**
 * Answers to "who knows this chunk?": a keyed shard with every xorb that may help the asker, made
 * when asked. All registered shards that know the chunk contribute, newest first, so that an edited
 * copy, which shares its first chunk with the original, finds all of the original and what later
 * versions added. A client learns nothing of chunks that it does not have: hashes are keyed.
 */

/** Largest answer. The reference client keeps answers in a cache of a few GB and reads them whole. */
export const DEDUP_ANSWER_MAX_BYTES: number = 16 * 1024 * 1024;

/** How long a client may use an answer; what real servers give. */
export const DEDUP_ANSWER_LIFETIME_SECONDS: number = 7 * 24 * 60 * 60;

/** Index entries looked at and shards read for one answer; a chunk that all files share has many. */
const MAX_ENTRIES = 4096;
const MAX_SHARDS = 256;

export interface DedupAnswerParts extends OutlineParts {
  readonly store: ObjectStore;
  readonly hasher: Hasher;
  readonly secrets: GatewaySecrets;
  readonly shards: ShardCatalog;
  readonly nowMs: number;
  /** @default DEDUP_ANSWER_MAX_BYTES */
  readonly maxBytes?: number;
}

/** Bytes of the answer, or null when nothing that is registered knows the chunk. */
export async function answerDedupQuery(
  chunk: MerkleHash,
  parts: DedupAnswerParts,
): Promise<Uint8Array | null> {
  const key = parts.secrets.dedupKey(parts.nowMs);
  const answer = createCollector(key, parts);
  const related = new Map<string, MerkleHash>();
  for (const shardHash of await knowingShards(chunk, parts)) {
    const shard = await answer.addShard(shardHash, chunk);
    if (shard !== null) await addIndexedChunks(shard, related, parts);
    if (answer.isFull()) break;
  }
  related.delete(chunk.toString());
  if (answer.xorbs.length > 0) await addRelated(answer, related, parts);
  return answer.xorbs.length === 0 ? null : encodeAnswer(answer.xorbs, key, parts);
}

/**
 * Adds shards that share another indexed chunk with those that know the one asked for. A client that
 * finds its first chunk in an answer does not ask for it again: what it asked about a small file of an
 * old upload has to show the newer versions of the big file beside it too.
 */
async function addRelated(
  answer: Collector,
  related: ReadonlyMap<string, MerkleHash>,
  parts: DedupAnswerParts,
): Promise<void> {
  for (const chunk of related.values()) {
    if (answer.isFull()) return;
    for (const shardHash of await knowingShards(chunk, parts)) {
      await answer.addShard(shardHash, chunk);
    }
  }
}

interface Collector {
  /** Keyed, each once. */
  readonly xorbs: ShardXorb[];
  /** True when nothing more may be added. */
  isFull(): boolean;
  /** Adds what fits of a shard that was not added yet; returns it, or null. */
  addShard(shardHash: MerkleHash, chunk: MerkleHash): Promise<Shard | null>;
}

function createCollector(key: Uint8Array, parts: DedupAnswerParts): Collector {
  const shards = new Set<string>();
  const seen = new Set<string>();
  const xorbs: ShardXorb[] = [];
  // Header, the two bookends, footer.
  let room = (parts.maxBytes ?? DEDUP_ANSWER_MAX_BYTES) - 3 * RECORD_BYTES - FOOTER_BYTES;

  async function addXorb(hash: MerkleHash): Promise<void> {
    const name = hash.toString();
    if (seen.has(name)) return;
    seen.add(name);
    const xorb = await tolerant(parts, () => parts.xorbs.get(hash));
    if (xorb === null) return;
    const bytes = RECORD_BYTES * (1 + xorb.chunkCount);
    if (bytes > room) return;
    room -= bytes;
    // One xorb at a time, with a pause: keying a full answer takes a while.
    const listed: Shard = { files: [], xorbs: [listXorb(xorb)], footer: null };
    xorbs.push(...keyShard(parts.hasher, listed, key).xorbs);
    await pause();
  }

  return {
    xorbs,
    isFull: () => room < 2 * RECORD_BYTES || shards.size >= MAX_SHARDS,
    async addShard(shardHash: MerkleHash, chunk: MerkleHash): Promise<Shard | null> {
      const name = shardHash.toString();
      if (shards.has(name) || shards.size >= MAX_SHARDS) return null;
      shards.add(name);
      const shard = await tolerant(parts, () => parts.shards.get(shardHash));
      if (shard === null) return null;
      for (const hash of await xorbsInOrder(chunk, shard, parts)) await addXorb(hash);
      return shard;
    },
  };
}

function encodeAnswer(xorbs: ShardXorb[], key: Uint8Array, parts: DedupAnswerParts): Uint8Array {
  const { footer } = keyShard(parts.hasher, { files: [], xorbs: [], footer: null }, key);
  const createdAt = Math.floor(parts.nowMs / 1000);
  return encodeShard(
    { files: [], xorbs, footer },
    { variant: 'keyed', createdAt, expiresAt: createdAt + DEDUP_ANSWER_LIFETIME_SECONDS },
  );
}

/** Shards listed under the chunk, newest first. */
async function knowingShards(
  chunk: MerkleHash,
  { store }: DedupAnswerParts,
): Promise<readonly MerkleHash[]> {
  const prefix = chunkPrefix(chunk);
  const entries: ObjectEntry[] = [];
  for await (const entry of store.list(prefix)) {
    entries.push(entry);
    if (entries.length === MAX_ENTRIES) break;
  }
  entries.sort((a, b) => b.modifiedMs - a.modifiedMs || (a.key < b.key ? -1 : 1));
  return entries
    .slice(0, MAX_SHARDS)
    .map((entry) => MerkleHash.parse(entry.key.slice(prefix.length)));
}

/** A stored xorb as a shard lists it. Stored size and flags stay 0, as in real answers. */
function listXorb(xorb: CatalogXorb): ShardXorb {
  const { chunkCount, rawEnds } = xorb;
  const chunkStarts = new Uint32Array(chunkCount);
  const chunkLengths = new Uint32Array(chunkCount);
  for (let chunk = 0; chunk < chunkCount; chunk++) {
    const start = endOf(rawEnds, chunk);
    chunkStarts[chunk] = start;
    chunkLengths[chunk] = (rawEnds[chunk] as number) - start;
  }
  return {
    hash: xorb.hash,
    chunkHashes: xorb.chunkHashes,
    chunkStarts,
    chunkLengths,
    chunkFlags: new Uint32Array(chunkCount),
    rawBytes: endOf(rawEnds, chunkCount),
    serializedBytes: 0,
  };
}
