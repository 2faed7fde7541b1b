import { bytesEqual, concatBytes, MAX_CHUNK_BYTES } from '../../bytes/index.js';
import type { BlockCodec } from '../../compress/ports.js';
import { chunkHash, HASH_BYTES, type MerkleHash, xorbHash } from '../../hash/index.js';
import type { Hasher } from '../../hash/ports.js';
import { createShardReader, type ShardFile } from '../../shard/index.js';
import {
  createRecordDecoder,
  decodeFooter,
  encodeFooter,
  storedFooterBytes,
  XorbBuilder,
} from '../../xorb/index.js';
import { isDamage } from '../failures.js';
import { piecesOfObject, SHARDS_PREFIX, xorbKey } from '../keys.js';
import type { ObjectRange, ObjectStore } from '../ports.js';
import { createStoreIndex, type StoreIndex } from '../store-index.js';
import { isBytesFault } from '../xorb-verify.js';
import { hashOfKey } from './reach.js';

/**
 * Xorbs that are damaged or gone, made again from the bytes of files that another store has. Nobody gives
 * out whole xorbs, and the other store may have packed the same chunks in others: so what is left of this
 * one is taken chunk by chunk, and each chunk that is missing from a file here that uses it.
 */

export interface RebuildParts {
  readonly store: ObjectStore;
  readonly hasher: Hasher;
  readonly codec: BlockCodec;
  /** Bytes `[start, end)` of a file that is registered here, from elsewhere; null: they are not there. */
  readonly readFile: (file: MerkleHash, range: ObjectRange) => Promise<Uint8Array | null>;
}

/** The chunks of a xorb, by what its name proves. */
interface ChunkList {
  /** 32 bytes for each. */
  readonly hashes: Uint8Array;
  readonly lengths: readonly number[];
}

/**
 * For `ScrubOptions.repair`. Goes through all file records for a xorb of which chunks are missing, and
 * through all shards for one whose footer is damaged. Holds one xorb, uncompressed and as it is stored.
 *
 * @returns null for shards, which only help dedup, and for xorbs of which a chunk is nowhere to be had
 */
export function createXorbRebuilder(
  parts: RebuildParts,
): (key: string) => Promise<Uint8Array | null> {
  const { store, hasher, codec } = parts;
  const index = createStoreIndex({ store, hasher });
  return async (key) => {
    const hash = hashOfKey(key);
    if (hash === null || key !== xorbKey(hash)) return null;
    const stored = (await store.read(key)) ?? new Uint8Array(0);
    const list = listInFooter(hash, stored, hasher) ?? (await listInShards(hash, parts));
    if (list === null) return null;
    const chunks = soundChunks(stored, list, parts);
    await fetchMissing(chunks, { hash, list, index, ...parts });
    const builder = new XorbBuilder({ codec, hasher });
    for (const chunk of chunks) if (chunk === null || !builder.add(chunk)) return null;
    const built = builder.finish();
    return built === null ? null : concatBytes([built.bytes, encodeFooter(built)]);
  };
}

/** Null when the footer is damaged: it has to give the hash in the name. */
function listInFooter(hash: MerkleHash, stored: Uint8Array, hasher: Hasher): ChunkList | null {
  try {
    const footer = decodeFooter(stored.subarray(stored.length - storedFooterBytes(stored)));
    const { chunkHashes, rawEnds } = footer;
    if (rawEnds === null) return null;
    const lengths = [...rawEnds].map((end, i) => end - (i === 0 ? 0 : (rawEnds[i - 1] as number)));
    return xorbHash(hasher, chunkHashes, lengths).equals(hash)
      ? { hashes: chunkHashes, lengths }
      : null;
  } catch (error) {
    if (isBytesFault(error) || error instanceof RangeError) return null;
    throw error;
  }
}

/** The shards list the chunks of the xorbs that came with them. */
async function listInShards(
  hash: MerkleHash,
  { store, hasher }: RebuildParts,
): Promise<ChunkList | null> {
  for await (const { key } of store.list(SHARDS_PREFIX)) {
    const reader = createShardReader();
    try {
      for await (const piece of piecesOfObject(store, key)) {
        for (const event of reader.push(piece)) {
          if (event.type !== 'xorb' || !event.xorb.hash.equals(hash)) continue;
          const lengths = [...event.xorb.chunkLengths];
          if (xorbHash(hasher, event.xorb.chunkHashes, lengths).equals(hash)) {
            return { hashes: event.xorb.chunkHashes, lengths };
          }
        }
      }
    } catch (error) {
      // A shard that is damaged, or was collected meanwhile, says nothing more.
      if (!isDamage(error) && !isBytesFault(error) && !isGone(error)) throw error;
    }
  }
  return null;
}

const isGone = (error: unknown): boolean =>
  (error as { readonly code?: unknown }).code === 'NOT_FOUND';

/** What is left: chunks whose records are where the footer says and have their hash; null for others. */
function soundChunks(
  stored: Uint8Array,
  { hashes, lengths }: ChunkList,
  parts: Pick<RebuildParts, 'hasher' | 'codec'>,
): (Uint8Array | null)[] {
  const none = lengths.map(() => null);
  let recordEnds: Uint32Array;
  try {
    const footer = decodeFooter(stored.subarray(stored.length - storedFooterBytes(stored)));
    if (footer.recordEnds.length !== lengths.length) return none;
    recordEnds = footer.recordEnds;
  } catch (error) {
    if (isBytesFault(error) || error instanceof RangeError) return none;
    throw error;
  }
  const decoder = createRecordDecoder(parts);
  return lengths.map((length, i) => {
    const start = i === 0 ? 0 : (recordEnds[i - 1] as number);
    const end = recordEnds[i] as number;
    if (end <= start || end > stored.length || length > MAX_CHUNK_BYTES) return null;
    const chunk = new Uint8Array(length);
    try {
      const decoded = decoder.decode(stored, start, end, chunk, 0, length);
      return bytesEqual(decoded.hashes, hashAt(hashes, i)) ? chunk : null;
    } catch (error) {
      if (isBytesFault(error)) return null;
      throw error;
    }
  });
}

const hashAt = (hashes: Uint8Array, i: number): Uint8Array =>
  hashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES);

/** Fills in what files have of the missing chunks, until none is missing or all files were looked at. */
async function fetchMissing(
  chunks: (Uint8Array | null)[],
  parts: RebuildParts & {
    readonly hash: MerkleHash;
    readonly list: ChunkList;
    readonly index: StoreIndex;
  },
): Promise<void> {
  if (!chunks.includes(null)) return;
  const { index, hash } = parts;
  for await (const file of index.files()) {
    const record = await index.file(file.hash).catch((error: unknown) => {
      if (isDamage(error)) return null;
      throw error;
    });
    if (record === null || !record.terms.some(({ xorb }) => xorb.equals(hash))) continue;
    await takeFrom(record, chunks, parts);
    if (!chunks.includes(null)) return;
  }
}

/** Reads each run of missing chunks that a file has side by side. */
async function takeFrom(
  record: ShardFile,
  chunks: (Uint8Array | null)[],
  parts: RebuildParts & { readonly hash: MerkleHash; readonly list: ChunkList },
): Promise<void> {
  const { hash, list, hasher, readFile } = parts;
  const bytesOf = (start: number, end: number): number =>
    list.lengths.slice(start, end).reduce((sum, length) => sum + length, 0);
  let position = 0;
  for (const { xorb, chunkStart, chunkEnd, unpackedBytes } of record.terms) {
    const termStart = position;
    position += unpackedBytes;
    if (!xorb.equals(hash) || chunkEnd > chunks.length) continue;
    for (let first = chunkStart; first < chunkEnd; ) {
      let last = first;
      while (last < chunkEnd && chunks[last] === null) last++;
      if (last > first) {
        const start = termStart + bytesOf(chunkStart, first);
        const bytes = await readFile(record.hash, { start, end: start + bytesOf(first, last) });
        // One that is not what its hash says is left to the next file.
        let at = 0;
        for (let i = first; bytes !== null && i < last; i++) {
          const chunk = bytes.subarray(at, at + (list.lengths[i] as number));
          at += chunk.length;
          const found = chunkHash(hasher, chunk).bytes;
          if (bytesEqual(found, hashAt(list.hashes, i))) chunks[i] = chunk;
        }
      }
      first = Math.max(last, first + 1);
    }
  }
}
