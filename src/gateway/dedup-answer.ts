import { HASH_BYTES, MerkleHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import {
  encodeShard,
  FOOTER_BYTES,
  keyShard,
  RECORD_BYTES,
  type Shard,
  type ShardXorb,
} from '../shard/index.js';
import { chunkPrefix } from './keys.js';
import type { ObjectEntry, ObjectStore } from './ports.js';
import type { GatewaySecrets } from './secrets.js';
import type { ShardCatalog } from './shard-catalog.js';
import { pause } from './streams.js';
import { type CatalogXorb, endOf, type XorbCatalog } from './xorb-catalog.js';

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

export interface DedupAnswerParts {
  readonly store: ObjectStore;
  readonly hasher: Hasher;
  readonly secrets: GatewaySecrets;
  readonly xorbs: XorbCatalog;
  readonly shards: ShardCatalog;
  readonly nowMs: number;
  /** @default DEDUP_ANSWER_MAX_BYTES */
  readonly maxBytes?: number;
  /** Told about shards and xorbs that cannot be read; the answer goes on without them. */
  readonly onFault: (error: unknown) => void;
}

/** Bytes of the answer, or null when nothing that is registered knows the chunk. */
export async function answerDedupQuery(
  chunk: MerkleHash,
  parts: DedupAnswerParts,
): Promise<Uint8Array | null> {
  const key = parts.secrets.dedupKey(parts.nowMs);
  const seen = new Set<string>();
  const keyed: ShardXorb[] = [];
  // Header, the two bookends, footer.
  let room = (parts.maxBytes ?? DEDUP_ANSWER_MAX_BYTES) - 3 * RECORD_BYTES - FOOTER_BYTES;
  for (const shardHash of await knowingShards(chunk, parts)) {
    const shard = await tolerant(parts, () => parts.shards.get(shardHash));
    if (shard === null) continue;
    for (const hash of await xorbsInOrder(chunk, shard, parts)) {
      const name = hash.toString();
      if (seen.has(name)) continue;
      seen.add(name);
      const xorb = await tolerant(parts, () => parts.xorbs.get(hash));
      if (xorb === null) continue;
      const bytes = RECORD_BYTES * (1 + xorb.chunkCount);
      if (bytes > room) continue;
      room -= bytes;
      // One xorb at a time, with a pause: keying a full answer takes a while.
      const listed: Shard = { files: [], xorbs: [listXorb(xorb)], footer: null };
      keyed.push(...keyShard(parts.hasher, listed, key).xorbs);
      await pause();
    }
    if (room < 2 * RECORD_BYTES) break;
  }
  return keyed.length === 0 ? null : encodeAnswer(keyed, key, parts);
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

/**
 * Every xorb that the shard lists or its files name, each possibly more than once, the most useful
 * first: those that hold the chunk, then those of files that use them, then the rest. The order
 * matters only when not all of them fit.
 */
async function xorbsInOrder(
  chunk: MerkleHash,
  shard: Shard,
  parts: DedupAnswerParts,
): Promise<MerkleHash[]> {
  const holders = new Set<string>();
  const order: MerkleHash[] = [];
  const addHolder = (hash: MerkleHash): void => {
    holders.add(hash.toString());
    order.push(hash);
  };
  for (const xorb of shard.xorbs) if (holdsChunk(xorb.chunkHashes, chunk)) addHolder(xorb.hash);
  if (order.length === 0) {
    for (const file of shard.files) {
      const term = file.terms[0];
      if (term === undefined || holders.has(term.xorb.toString())) continue;
      const xorb = await tolerant(parts, () => parts.xorbs.get(term.xorb));
      if (xorb !== null && isChunkAt(xorb, term.chunkStart, chunk)) addHolder(term.xorb);
    }
  }
  for (const file of shard.files) {
    if (file.terms.some((term) => holders.has(term.xorb.toString()))) {
      for (const term of file.terms) order.push(term.xorb);
    }
  }
  for (const xorb of shard.xorbs) order.push(xorb.hash);
  for (const file of shard.files) for (const term of file.terms) order.push(term.xorb);
  return order;
}

function holdsChunk(hashes: Uint8Array, chunk: MerkleHash): boolean {
  for (let at = 0; at < hashes.length; at += HASH_BYTES)
    if (isHashAt(hashes, at, chunk)) return true;
  return false;
}

function isChunkAt(xorb: CatalogXorb, index: number, chunk: MerkleHash): boolean {
  return index < xorb.chunkCount && isHashAt(xorb.chunkHashes, index * HASH_BYTES, chunk);
}

function isHashAt(hashes: Uint8Array, offset: number, chunk: MerkleHash): boolean {
  for (let i = 0; i < HASH_BYTES; i++) if (hashes[offset + i] !== chunk.bytes[i]) return false;
  return true;
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

/** Dedup is an optimisation: what cannot be read is left out, and somebody is told. */
async function tolerant<Result>(
  parts: DedupAnswerParts,
  run: () => Promise<Result | null>,
): Promise<Result | null> {
  try {
    return await run();
  } catch (error) {
    parts.onFault(error);
    return null;
  }
}
