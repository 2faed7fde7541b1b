import type { MerkleHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import {
  encodeShardInSteps,
  FOOTER_BYTES,
  type HashTable,
  keyShard,
  RECORD_BYTES,
  type Shard,
  type ShardXorb,
} from '../shard/index.js';
import { MAX_SHARDS } from './dedup-index.js';
import type { Keeper } from './keeper.js';
import { xorbKey } from './keys.js';
import {
  type ShardOutline,
  type ShardOutlines,
  someIndexedChunks,
  wantedChunks,
  xorbsInOrder,
} from './shard-outline.js';
import { inSteps, pause } from './turns.js';
import { type CatalogXorb, endOf } from './xorb-catalog.js';
import type { XorbHealth } from './xorb-health.js';

/**
 * A keyed shard with every xorb that may help the asker. All registered shards that know one of the
 * chunks contribute, newest first, so that an edited copy, which shares its first chunk with the original,
 * finds all of the original and what later versions added. What is missing or damaged is left out.
 * A client learns nothing of chunks that it does not have: hashes are keyed.
 */

/** How long a client may use a response; what real servers give. */
export const DEDUP_LIFETIME_SECONDS: number = 7 * 24 * 60 * 60;

/** Other chunks of those shards that are followed, at most. */
const MAX_RELATED_CHUNKS = 256;

/** Bytes of old xorbs that one build may read; beyond, whoever registers a shard finds out. */
const PROOF_BYTES: number = 256 * 1024 * 1024;

export interface DedupBuildParts {
  readonly hasher: Hasher;
  readonly outlines: ShardOutlines;
  readonly health: XorbHealth;
  readonly keeper: Pick<Keeper, 'isCondemned'>;
  readonly key: Uint8Array;
  readonly unixMs: number;
  readonly maxBytes: number;
  /** Told about what cannot be read; the build goes on without it. */
  readonly onFault: (error: unknown) => void;
}

/** The question. */
export interface DedupAsk {
  readonly chunks: readonly MerkleHash[];
  /** Shards that know one of the chunks, newest first. */
  readonly shards: readonly MerkleHash[];
  /** Xorbs that are wanted by name, before all others. */
  readonly xorbs: readonly MerkleHash[];
  readonly findShards: (chunk: MerkleHash) => Promise<readonly MerkleHash[]>;
}

/** The response. */
export interface BuiltDedup {
  /** Empty: no xorb is there to be told of. */
  readonly bytes: Uint8Array;
  /** False: not all fitted, so that what was asked for decided which. */
  readonly isComplete: boolean;
}

export async function buildDedup(ask: DedupAsk, parts: DedupBuildParts): Promise<BuiltDedup> {
  const collector = createCollector(parts);
  const related = new Map<string, MerkleHash>();
  const wanted = wantedChunks(ask.chunks);
  for (const xorb of ask.xorbs) {
    if (collector.isFull()) break;
    await collector.addXorb(xorb);
  }
  for (const hash of ask.shards) {
    const outline = await collector.addShard(hash, wanted);
    if (outline !== null) {
      for (const chunk of someIndexedChunks(outline, MAX_RELATED_CHUNKS)) {
        if (related.size < MAX_RELATED_CHUNKS) related.set(chunk.toString(), chunk);
      }
    }
    if (collector.isFull()) break;
  }
  if (collector.xorbs.length > 0) await addRelated(collector, related.values(), wanted, ask);
  return { bytes: await encode(collector.xorbs, parts), isComplete: collector.isComplete() };
}

/**
 * Adds shards that share another indexed chunk with those that know the one asked for. A client that
 * finds its first chunk in a response does not ask for it again: what it asked about a small file of
 * an old upload has to show the newer versions of the big file beside it too.
 */
async function addRelated(
  collector: Collector,
  related: Iterable<MerkleHash>,
  wanted: HashTable,
  ask: DedupAsk,
): Promise<void> {
  for (const chunk of related) {
    if (collector.isFull()) return;
    if (wanted.indexOf(chunk.bytes, 0) >= 0) continue;
    const only = wantedChunks([chunk]);
    for (const hash of await ask.findShards(chunk)) await collector.addShard(hash, only);
  }
}

interface Collector {
  /** Keyed, each once. */
  readonly xorbs: ShardXorb[];
  /** True when nothing more may be added. */
  isFull(): boolean;
  isComplete(): boolean;
  /** Adds a xorb that is there and fits. */
  addXorb(hash: MerkleHash): Promise<void>;
  /** Adds what fits of a shard that was not added yet; returns it, or null. */
  addShard(hash: MerkleHash, wanted: HashTable): Promise<ShardOutline | null>;
}

function createCollector(parts: DedupBuildParts): Collector {
  const { hasher, key, health, keeper, outlines, maxBytes, onFault } = parts;
  const shards = new Set<string>();
  const seen = new Set<string>();
  const xorbs: ShardXorb[] = [];
  const allowance = { bytes: PROOF_BYTES };
  let isComplete = true;
  // Header, the two bookends, footer.
  let freeBytes = maxBytes - 3 * RECORD_BYTES - FOOTER_BYTES;

  /** Dedup is an optimisation: what cannot be read is left out, and somebody is told. */
  async function tolerant<Result>(run: () => Promise<Result | null>): Promise<Result | null> {
    try {
      return await run();
    } catch (error) {
      onFault(error);
      return null;
    }
  }

  async function addXorb(hash: MerkleHash): Promise<void> {
    const name = hash.toString();
    if (seen.has(name)) return;
    seen.add(name);
    // Nobody is told of what may be gone before the response has expired.
    const xorb = await tolerant(async () =>
      (await keeper.isCondemned(xorbKey(hash))) ? null : health.usable(hash, allowance),
    );
    if (xorb === null) return;
    const bytes = RECORD_BYTES * (1 + xorb.chunkCount);
    if (bytes > freeBytes) {
      isComplete = false;
      return;
    }
    freeBytes -= bytes;
    // One xorb at a time, with a pause: keying a full response takes a while.
    const listed: Shard = { files: [], xorbs: [listXorb(xorb)], footer: null };
    xorbs.push(...keyShard(hasher, listed, key).xorbs);
    await pause();
  }

  return {
    xorbs,
    isFull: () => freeBytes < 2 * RECORD_BYTES || shards.size >= MAX_SHARDS,
    isComplete: () => isComplete && shards.size < MAX_SHARDS,
    addXorb,
    async addShard(hash, wanted) {
      const name = hash.toString();
      if (shards.has(name) || shards.size >= MAX_SHARDS) return null;
      shards.add(name);
      const outline = await tolerant(() => outlines.get(hash));
      if (outline === null) return null;
      for (const xorb of await xorbsInOrder(outline, wanted)) await addXorb(xorb);
      return outline;
    },
  };
}

async function encode(
  xorbs: ShardXorb[],
  { hasher, key, unixMs }: DedupBuildParts,
): Promise<Uint8Array> {
  if (xorbs.length === 0) return new Uint8Array(0);
  const { footer } = keyShard(hasher, { files: [], xorbs: [], footer: null }, key);
  const createdAt = Math.floor(unixMs / 1000);
  return inSteps(
    encodeShardInSteps(
      { files: [], xorbs, footer },
      { variant: 'keyed', createdAt, expiresAt: createdAt + DEDUP_LIFETIME_SECONDS },
    ),
  );
}

/** A stored xorb as a shard lists it. Stored size and flags stay 0, as in real responses. */
export function listXorb({ hash, chunkHashes, chunkCount, rawEnds }: CatalogXorb): ShardXorb {
  const chunkStarts = new Uint32Array(chunkCount);
  const chunkLengths = new Uint32Array(chunkCount);
  for (let chunk = 0; chunk < chunkCount; chunk++) {
    const start = endOf(rawEnds, chunk);
    chunkStarts[chunk] = start;
    chunkLengths[chunk] = (rawEnds[chunk] as number) - start;
  }
  return {
    hash,
    chunkHashes,
    chunkStarts,
    chunkLengths,
    chunkFlags: new Uint32Array(chunkCount),
    rawBytes: endOf(rawEnds, chunkCount),
    serializedBytes: 0,
  };
}
