import { bytesEqual } from '../bytes/index.js';
import { OrbweaverError } from '../errors.js';
import { HASH_BYTES, keyedChunkHash, MerkleHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import {
  CHUNK_LOOKUP_ENTRY_BYTES,
  FOOTER_BYTES,
  LOOKUP_ENTRY_BYTES,
  RECORD_BYTES,
} from './constants.js';
import { decodeFooter, readHeader, shardKeyOf } from './footer.js';
import { claimedFileBytes, claimedXorbBytes, isBookend, readFile, readXorb } from './records.js';
import type { ShardFile, ShardFooter, ShardXorb } from './types.js';

/** Where a chunk is. */
export interface ChunkPlace {
  readonly xorb: MerkleHash;
  /** Number of the chunk in its xorb. */
  readonly chunk: number;
}

/** A local shard, searched by its tables without decoding the rest of it. */
export interface ShardLookup {
  readonly footer: ShardFooter;
  findFile(hash: MerkleHash): ShardFile | null;
  findXorb(hash: MerkleHash): ShardXorb | null;
  /** `hashes[offset, offset + 32)` is the plain chunk hash; a keyed shard keys it first. */
  findChunk(hashes: Uint8Array, offset: number): ChunkPlace | null;
}

/** Most chunks with one truncated hash that are looked at (as the reference client does). */
const MAX_CANDIDATES = 8;

/**
 * Opens a local shard for searching. Tables are read in place and nothing in them is trusted: each
 * hit is compared with the whole hash in its section, wherever the entry points.
 *
 * @param bytes borrowed as long as the lookup is used
 * @param hasher needed for `findChunk` in a shard with a key
 * @throws OrbweaverError `TRUNCATED`, `FORMAT_INVALID`, `UNSUPPORTED`: no readable footer, or tables
 * that do not lie in the shard
 *
 * @example
 * const place = openShardLookup(bytes).findChunk(chunkHash.bytes, 0);
 */
export function openShardLookup(bytes: Uint8Array, hasher?: Hasher): ShardLookup {
  if (!readHeader(bytes) || bytes.length < RECORD_BYTES + FOOTER_BYTES) {
    throw new OrbweaverError('FORMAT_INVALID', '"footer" expected in a local shard, got none', {
      field: 'footer',
    });
  }
  const footer = decodeFooter(bytes.subarray(bytes.length - FOOTER_BYTES));
  const key = shardKeyOf(footer);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const limit = bytes.length - FOOTER_BYTES;
  checkTable('file lookup', footer.fileLookupOffset, footer.fileLookupCount, LOOKUP_ENTRY_BYTES);
  checkTable('xorb lookup', footer.xorbLookupOffset, footer.xorbLookupCount, LOOKUP_ENTRY_BYTES);
  checkTable(
    'chunk lookup',
    footer.chunkLookupOffset,
    footer.chunkLookupCount,
    CHUNK_LOOKUP_ENTRY_BYTES,
  );

  function checkTable(field: string, offset: number, count: number, entryBytes: number): void {
    if (offset > limit || count > (limit - offset) / entryBytes) {
      throw new OrbweaverError(
        'FORMAT_INVALID',
        `"${field}" expected to end at or before offset ${limit}, got ${count} entries at ${offset}`,
        { field, offset, count },
      );
    }
  }

  /** Offsets of the entries with the truncated hash of `hash`, at most {@link MAX_CANDIDATES}. */
  function* entriesOf(
    hash: Uint8Array,
    table: { offset: number; count: number; entryBytes: number },
  ): Generator<number> {
    const key = new DataView(hash.buffer, hash.byteOffset, 8).getBigUint64(0, true);
    let low = 0;
    let high = table.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      const at = table.offset + middle * table.entryBytes;
      if (view.getBigUint64(at, true) < key) low = middle + 1;
      else high = middle;
    }
    for (let i = low; i < Math.min(table.count, low + MAX_CANDIDATES); i++) {
      const at = table.offset + i * table.entryBytes;
      if (view.getBigUint64(at, true) !== key) return;
      yield at;
    }
  }

  /** Offset of the record that an entry points to, or -1 when it is not the header of `hash`. */
  function recordAt(section: number, index: number, hash: Uint8Array): number {
    const at = section + index * RECORD_BYTES;
    if (at + RECORD_BYTES > limit || isBookend(bytes, at)) return -1;
    return bytesEqual(bytes.subarray(at, at + HASH_BYTES), hash) ? at : -1;
  }

  function findFile(hash: MerkleHash): ShardFile | null {
    const table = {
      offset: footer.fileLookupOffset,
      count: footer.fileLookupCount,
      entryBytes: LOOKUP_ENTRY_BYTES,
    };
    for (const entry of entriesOf(hash.bytes, table)) {
      const index = view.getUint32(entry + 8, true);
      const at = recordAt(footer.fileSectionOffset, index, hash.bytes);
      if (at >= 0 && at + claimedFileBytes(bytes, at) <= limit) return readFile(bytes, at);
    }
    return null;
  }

  function findXorb(hash: MerkleHash): ShardXorb | null {
    const table = {
      offset: footer.xorbLookupOffset,
      count: footer.xorbLookupCount,
      entryBytes: LOOKUP_ENTRY_BYTES,
    };
    for (const entry of entriesOf(hash.bytes, table)) {
      const index = view.getUint32(entry + 8, true);
      const at = recordAt(footer.xorbSectionOffset, index, hash.bytes);
      if (at >= 0 && at + claimedXorbBytes(bytes, at) <= limit) return readXorb(bytes, at);
    }
    return null;
  }

  function findChunk(hashes: Uint8Array, offset: number): ChunkPlace | null {
    const wanted = new Uint8Array(HASH_BYTES);
    if (key === null) {
      wanted.set(hashes.subarray(offset, offset + HASH_BYTES));
    } else if (hasher === undefined) {
      throw new TypeError('"hasher" expected for a keyed shard, got none');
    } else {
      keyedChunkHash(hasher, key, hashes, offset, wanted, 0);
    }
    const table = {
      offset: footer.chunkLookupOffset,
      count: footer.chunkLookupCount,
      entryBytes: CHUNK_LOOKUP_ENTRY_BYTES,
    };
    for (const entry of entriesOf(wanted, table)) {
      const header = footer.xorbSectionOffset + view.getUint32(entry + 8, true) * RECORD_BYTES;
      const chunk = view.getUint32(entry + 12, true);
      const at = header + (1 + chunk) * RECORD_BYTES;
      if (at + RECORD_BYTES > limit || chunk >= view.getUint32(header + 36, true)) continue;
      if (bytesEqual(bytes.subarray(at, at + HASH_BYTES), wanted)) {
        return { xorb: MerkleHash.from(bytes, header), chunk };
      }
    }
    return null;
  }

  return { footer, findFile, findXorb, findChunk };
}
