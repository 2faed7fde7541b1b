import type { ByteWriter, Sequence } from '../bytes/index.js';
import { HASH_BYTES } from '../hash/index.js';
import { CHUNK_LOOKUP_ENTRY_BYTES, LOOKUP_ENTRY_BYTES, RECORD_BYTES } from './constants.js';
import { fileRecordBytes, xorbRecordBytes } from './records.js';
import type { ShardFile, ShardFooter, ShardXorb } from './types.js';

/**
 * The three tables of a local shard, between the xorb section and the footer. A key is the first
 * 8 bytes of a hash as little-endian u64; each table is sorted by it, equal keys by what follows.
 *
 *   file, xorb   key u64 | index u32                   index = records from the section's start
 *   chunk        key u64 | xorb index u32 | chunk u32
 *
 * `lookup.ts` reads them.
 */

/** Where the tables are: part of the footer. */
export type LookupPlaces = Pick<
  ShardFooter,
  | 'fileLookupOffset'
  | 'fileLookupCount'
  | 'xorbLookupOffset'
  | 'xorbLookupCount'
  | 'chunkLookupOffset'
  | 'chunkLookupCount'
>;

/** Bytes of all three tables. */
export function lookupBytes(files: Sequence<ShardFile>, xorbs: readonly ShardXorb[]): number {
  let chunks = 0;
  for (const xorb of xorbs) chunks += xorb.chunkLengths.length;
  return (files.length + xorbs.length) * LOOKUP_ENTRY_BYTES + chunks * CHUNK_LOOKUP_ENTRY_BYTES;
}

/** Writes the tables for sections in which `files` and `xorbs` lie in this (sorted) order. */
export function writeLookupTables(
  writer: ByteWriter,
  files: Sequence<ShardFile>,
  xorbs: readonly ShardXorb[],
  verification: boolean,
): LookupPlaces {
  const fileLookupOffset = writer.length;
  let record = 0;
  for (const file of files) {
    writer.bytes(file.hash.bytes.subarray(0, 8)).u32(record);
    record += fileRecordBytes(file.terms.length, verification, file.sha256 !== null) / RECORD_BYTES;
  }
  const xorbLookupOffset = writer.length;
  record = 0;
  const xorbRecords: number[] = [];
  for (const xorb of xorbs) {
    writer.bytes(xorb.hash.bytes.subarray(0, 8)).u32(record);
    xorbRecords.push(record);
    record += xorbRecordBytes(xorb.chunkLengths.length) / RECORD_BYTES;
  }
  const chunkLookupOffset = writer.length;
  const order = sortedChunks(xorbs);
  for (let i = 0; i < order.count; i++) {
    const chunk = order.permutation[i] as number;
    const xorb = order.xorbOf[chunk] as number;
    writer
      .u32(order.low[chunk] as number)
      .u32(order.high[chunk] as number)
      .u32(xorbRecords[xorb] as number)
      .u32(order.numberOf[chunk] as number);
  }
  return {
    fileLookupOffset,
    fileLookupCount: files.length,
    xorbLookupOffset,
    xorbLookupCount: xorbs.length,
    chunkLookupOffset,
    chunkLookupCount: order.count,
  };
}

interface ChunkOrder {
  readonly count: number;
  readonly low: Uint32Array;
  readonly high: Uint32Array;
  readonly xorbOf: Uint32Array;
  readonly numberOf: Uint32Array;
  readonly permutation: Uint32Array;
}

/** All chunks by key; a shard holds up to 1.4 million, so everything is a typed array. */
function sortedChunks(xorbs: readonly ShardXorb[]): ChunkOrder {
  let count = 0;
  for (const xorb of xorbs) count += xorb.chunkLengths.length;
  const low = new Uint32Array(count);
  const high = new Uint32Array(count);
  const xorbOf = new Uint32Array(count);
  const numberOf = new Uint32Array(count);
  const permutation = new Uint32Array(count);
  let at = 0;
  for (const [xorbIndex, xorb] of xorbs.entries()) {
    const hashes = xorb.chunkHashes;
    const view = new DataView(hashes.buffer, hashes.byteOffset, hashes.byteLength);
    for (let chunk = 0; chunk < xorb.chunkLengths.length; chunk++, at++) {
      low[at] = view.getUint32(chunk * HASH_BYTES, true);
      high[at] = view.getUint32(chunk * HASH_BYTES + 4, true);
      xorbOf[at] = xorbIndex;
      numberOf[at] = chunk;
      permutation[at] = at;
    }
  }
  permutation.sort(
    (a, b) =>
      (high[a] as number) - (high[b] as number) || (low[a] as number) - (low[b] as number) || a - b,
  );
  return { count, low, high, xorbOf, numberOf, permutation };
}
