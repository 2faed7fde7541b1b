import { HASH_BYTES, isGlobalDedupEligible, MerkleHash } from '../hash/index.js';
import type { Shard } from '../shard/index.js';
import type { CatalogXorb, XorbCatalog } from './xorb-catalog.js';

/** What a registered shard has to say to a dedup query: which xorbs, and which other chunks. */

/** Where chunks are looked up, and who is told when that fails. */
export interface OutlineParts {
  readonly xorbs: XorbCatalog;
  /** Told about what cannot be read; the answer goes on without it. */
  readonly onFault: (error: unknown) => void;
}

/** Chunks collected by {@link addIndexedChunks} at most. */
const MAX_RELATED_CHUNKS = 256;

/**
 * Every xorb that the shard lists or its files name, each possibly more than once, the most useful
 * first: those that hold the chunk, then those of files that use them, then the rest. The order
 * matters only when not all of them fit.
 */
export async function xorbsInOrder(
  chunk: MerkleHash,
  shard: Shard,
  parts: OutlineParts,
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

/** The chunks under which a shard is listed: the first of each file, and eligible ones. */
export async function addIndexedChunks(
  shard: Shard,
  into: Map<string, MerkleHash>,
  parts: OutlineParts,
): Promise<void> {
  const add = (hashes: Uint8Array, index: number): void => {
    const hash = MerkleHash.from(hashes, HASH_BYTES * index);
    into.set(hash.toString(), hash);
  };
  for (const file of shard.files) {
    if (into.size >= MAX_RELATED_CHUNKS) return;
    const term = file.terms[0];
    const xorb =
      term === undefined ? null : await tolerant(parts, () => parts.xorbs.get(term.xorb));
    if (term !== undefined && xorb !== null && term.chunkStart < xorb.chunkCount) {
      add(xorb.chunkHashes, term.chunkStart);
    }
  }
  for (const { chunkHashes } of shard.xorbs) {
    for (let at = 0; at < chunkHashes.length; at += HASH_BYTES) {
      if (into.size >= MAX_RELATED_CHUNKS) return;
      if (isGlobalDedupEligible(chunkHashes, at)) add(chunkHashes, at / HASH_BYTES);
    }
  }
}

/** Dedup is an optimisation: what cannot be read is left out, and somebody is told. */
export async function tolerant<Result>(
  parts: OutlineParts,
  run: () => Promise<Result | null>,
): Promise<Result | null> {
  try {
    return await run();
  } catch (error) {
    parts.onFault(error);
    return null;
  }
}
