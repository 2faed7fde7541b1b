import { LRUCache } from 'lru-cache';
import {
  concatBytes,
  createStepMeter,
  GrowableBytes,
  GrowableU32,
  type Sequence,
  sequenceOf,
} from '../bytes/index.js';
import { HASH_BYTES, isDedupEligible, MerkleHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import {
  createShardReader,
  HashTable,
  longShardKey,
  pushInSteps,
  type ShardFile,
} from '../shard/index.js';
import { damaged } from './failures.js';
import { piecesOfObject, shardObjectKey } from './keys.js';
import type { ObjectStore } from './ports.js';
import { createFlights, createYielder, inSteps, pause } from './turns.js';
import type { XorbCatalog } from './xorb-catalog.js';

/**
 * What a registered shard has to say to a dedup query: which xorbs, and under which chunks it is
 * listed. A fiftieth of the shard, made once while it is registered, or by reading the shard piece
 * by piece, never by decoding all of it.
 */
export interface ShardOutline {
  /** Each once: those that it lists, then those that its files name. */
  readonly xorbs: readonly MerkleHash[];
  /** Chunks under which it is listed: the first of each file, then the eligible ones; 32 bytes each. */
  readonly chunkHashes: Uint8Array;
  /** Index of the xorb that holds each. */
  readonly chunkXorbs: Uint32Array;
  /** Indexes of the xorbs of file i: `fileXorbs[i === 0 ? 0 : fileEnds[i - 1], fileEnds[i])`. */
  readonly fileXorbs: Uint32Array;
  readonly fileEnds: Uint32Array;
}

/** Collects an outline. */
export interface OutlineBuilder {
  addXorb(hash: MerkleHash, chunkHashes: Uint8Array): void;
  /** Its first chunk is at `offset`. In steps: a file may have a million terms. */
  addFile(file: ShardFile, chunkHashes: Uint8Array, offset: number): Generator<void>;
  finish(): ShardOutline;
}

/** Chunks, and the index of the xorb that holds each. */
interface ChunkList {
  readonly hashes: GrowableBytes;
  readonly holders: GrowableU32;
}

/** @param oneIn lists one chunk in so many */
export function createOutlineBuilder(oneIn: number): OutlineBuilder {
  const xorbs: MerkleHash[] = [];
  const indexes = new Map<string, number>();
  const ofFiles: ChunkList = { hashes: new GrowableBytes(), holders: new GrowableU32() };
  const ofXorbs: ChunkList = { hashes: new GrowableBytes(), holders: new GrowableU32() };
  const fileXorbs = new GrowableU32();
  const fileEnds = new GrowableU32();
  /** Of each xorb: a bit for each of its chunks with which a file begins. */
  const firstChunks = new Map<number, Uint8Array>();
  const isDue = createStepMeter();

  function indexOf(hash: MerkleHash): number {
    const name = hash.toString();
    const index = indexes.get(name) ?? xorbs.push(hash) - 1;
    indexes.set(name, index);
    return index;
  }
  function list({ hashes, holders }: ChunkList, chunk: Uint8Array, holder: number): void {
    hashes.push(chunk);
    holders.push(holder);
  }

  return {
    addXorb(hash, chunkHashes) {
      const holder = indexOf(hash);
      for (let at = 0; at < chunkHashes.length; at += HASH_BYTES) {
        if (!isDedupEligible(chunkHashes, at, oneIn)) continue;
        list(ofXorbs, chunkHashes.subarray(at, at + HASH_BYTES), holder);
      }
    },
    *addFile(file, chunkHashes, offset) {
      let previous: MerkleHash | undefined;
      const used = new Set<number>();
      for (const { xorb } of file.terms) {
        if (isDue(1)) yield;
        if (previous?.equals(xorb) === true) continue;
        previous = xorb;
        const index = indexOf(xorb);
        if (used.has(index)) continue;
        used.add(index);
        fileXorbs.push(index);
      }
      fileEnds.push(fileXorbs.length);
      const [first] = file.terms;
      const holder = first === undefined ? 0 : indexOf(first.xorb);
      // Thousands of files begin with the same chunk.
      const chunk = offset / HASH_BYTES;
      const seen =
        firstChunks.get(holder) ?? new Uint8Array(chunkHashes.length / HASH_BYTES / 8 + 1);
      firstChunks.set(holder, seen);
      const bit = 1 << (chunk & 7);
      if (((seen[chunk >>> 3] as number) & bit) !== 0) return;
      seen[chunk >>> 3] = (seen[chunk >>> 3] as number) | bit;
      list(ofFiles, chunkHashes.subarray(offset, offset + HASH_BYTES), holder);
    },
    finish() {
      const chunkHashes = concatBytes([ofFiles.hashes.view(), ofXorbs.hashes.view()]);
      const chunkXorbs = new Uint32Array(ofFiles.holders.length + ofXorbs.holders.length);
      chunkXorbs.set(ofFiles.holders.view());
      chunkXorbs.set(ofXorbs.holders.view(), ofFiles.holders.length);
      return {
        xorbs,
        chunkHashes,
        chunkXorbs,
        fileXorbs: fileXorbs.view().slice(),
        fileEnds: fileEnds.view().slice(),
      };
    },
  };
}

/** The chunks under which a shard is listed, each once: a shard may have half a million. */
export async function allIndexedChunks(outline: ShardOutline): Promise<Sequence<MerkleHash>> {
  const yieldAfter = createYielder();
  const seen = new HashTable();
  const { chunkHashes } = outline;
  for (let at = 0; at < chunkHashes.length; at += HASH_BYTES) {
    seen.add(chunkHashes, at);
    const others = yieldAfter(1);
    if (others !== undefined) await others;
  }
  return sequenceOf(seen.count, (index) => MerkleHash.from(seen.hashes, index * HASH_BYTES));
}

/** The first of them, at most `limit`. */
export function someIndexedChunks(outline: ShardOutline, limit: number): MerkleHash[] {
  const chunks = new Map<string, MerkleHash>();
  const { chunkHashes } = outline;
  for (let at = 0; at < chunkHashes.length && chunks.size < limit; at += HASH_BYTES) {
    const hash = MerkleHash.from(chunkHashes, at);
    chunks.set(hash.toString(), hash);
  }
  return [...chunks.values()];
}

/**
 * Every xorb, each once, the most useful first: those that hold the wanted chunks, then those of files that
 * use them, then the rest. The order matters only when not all of them fit.
 */
export async function xorbsInOrder(
  outline: ShardOutline,
  wanted: HashTable,
): Promise<MerkleHash[]> {
  const yieldAfter = createYielder();
  const { chunkHashes, chunkXorbs, fileXorbs, fileEnds, xorbs } = outline;
  const order = new Set<number>();
  for (const [index, holder] of chunkXorbs.entries()) {
    if (wanted.indexOf(chunkHashes, index * HASH_BYTES) >= 0) order.add(holder);
    const others = yieldAfter(1);
    if (others !== undefined) await others;
  }
  const holders = new Set(order);
  let start = 0;
  for (const end of fileEnds) {
    const used = fileXorbs.subarray(start, end);
    if (used.some((xorb) => holders.has(xorb))) for (const xorb of used) order.add(xorb);
    start = end;
    const others = yieldAfter(1 + used.length);
    if (others !== undefined) await others;
  }
  for (const index of xorbs.keys()) order.add(index);
  return [...order].map((index) => xorbs[index] as MerkleHash);
}

/** The chunks that are wanted, to be looked up. */
export function wantedChunks(chunks: Iterable<MerkleHash>): HashTable {
  const wanted = new HashTable();
  for (const { bytes } of chunks) wanted.add(bytes, 0);
  return wanted;
}

/** Outlines of registered shards, the latest kept in memory. */
export interface ShardOutlines {
  /** Null when it is not stored. @throws OrbweaverError `INTEGRITY` when the shard is damaged */
  get(hash: MerkleHash): Promise<ShardOutline | null>;
  /** What was learned while it was registered. */
  set(hash: MerkleHash, outline: ShardOutline): void;
  readonly usedBytes: number;
}

export function createShardOutlines(parts: {
  readonly store: ObjectStore;
  readonly hasher: Hasher;
  readonly xorbs: XorbCatalog;
  readonly cacheBytes: number;
  /** One chunk in so many is listed. */
  readonly oneIn: number;
}): ShardOutlines {
  const { store, cacheBytes } = parts;
  const cache = new LRUCache<
    string,
    { readonly version: string | null; readonly outline: ShardOutline }
  >({
    maxSize: cacheBytes,
    sizeCalculation: ({ outline }) =>
      1024 +
      256 * outline.xorbs.length +
      outline.chunkHashes.length +
      4 * (outline.chunkXorbs.length + outline.fileXorbs.length + outline.fileEnds.length),
  });
  const once = createFlights<ShardOutline | null>();
  return {
    async get(hash) {
      const name = hash.toString();
      const info = await store.head(shardObjectKey(hash));
      if (info === null) return null;
      const { version } = info;
      const known = cache.get(name);
      if (known !== undefined && (known.version ?? version) === version) return known.outline;
      return once(`${name} ${version}`, async () => {
        if (!info.intact) await checkShardBytes(hash, parts);
        const outline = await readOutline(hash, parts);
        cache.set(name, { version, outline });
        return outline;
      });
    },
    set(hash, outline) {
      cache.set(hash.toString(), { version: null, outline });
    },
    get usedBytes() {
      return cache.calculatedSize;
    },
  };
}

/** A shard that the store does not vouch for: its name is the hash of its bytes. */
async function checkShardBytes(
  hash: MerkleHash,
  { store, hasher }: { readonly store: ObjectStore; readonly hasher: Hasher },
): Promise<void> {
  const bytes = await store.read(shardObjectKey(hash));
  if (bytes === null) return;
  if (!(await longShardKey(hasher, bytes, pause)).equals(hash)) throw damaged(`shard ${hash}`);
}

async function readOutline(
  hash: MerkleHash,
  parts: { readonly store: ObjectStore; readonly xorbs: XorbCatalog; readonly oneIn: number },
): Promise<ShardOutline> {
  const { store, xorbs, oneIn } = parts;
  const reader = createShardReader();
  const builder = createOutlineBuilder(oneIn);
  for await (const piece of piecesOfObject(store, shardObjectKey(hash))) {
    for (const event of await inSteps(pushInSteps(reader, piece))) {
      if (event.type === 'xorb') builder.addXorb(event.xorb.hash, event.xorb.chunkHashes);
      if (event.type !== 'file') continue;
      const [first] = event.file.terms;
      if (first === undefined) continue;
      // Dedup is an optimisation: a file whose first xorb cannot be read is left out.
      const xorb = await xorbs.get(first.xorb).catch(() => null);
      if (xorb === null || first.chunkStart >= xorb.chunkCount) continue;
      await inSteps(builder.addFile(event.file, xorb.chunkHashes, first.chunkStart * HASH_BYTES));
    }
    await pause();
  }
  return builder.finish();
}
