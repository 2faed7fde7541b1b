import { ByteReader, ByteWriter } from '../../bytes/index.js';
import { HASH_BYTES, MerkleHash } from '../../hash/index.js';
import type { ShardFile, ShardTerm } from '../../shard/index.js';
import { invalid } from './format.js';

/**
 * What lies under a key:
 *
 *   files    shard (32), when (u64, ms), flags (u8), terms (u16),
 *            each term: xorb (32), first chunk, end chunk, unpacked bytes, flags (u32 each),
 *            the range hash of each term (32) and the SHA-256 (32), where the flags say so;
 *            or, where they say that the record is an object of its own, the size of the file (u64)
 *   chunks   shard (32), when (u64, ms)
 */

/** An entry of either section. */
export interface TableEntry {
  /** 32 bytes. */
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** A file, and what registered it. */
export interface FileEntry {
  readonly shard: MerkleHash;
  /** Milliseconds since 1970. */
  readonly createdMs: number;
  /** Bytes of the file. */
  readonly sizeBytes: number;
  /** Null: the record is an object of its own. */
  readonly file: ShardFile | null;
}

/** A shard that knows a chunk. */
export interface ChunkEntry {
  readonly shard: MerkleHash;
  readonly createdMs: number;
}

const STAMP_BYTES: number = HASH_BYTES + 8;
const TERM_BYTES: number = HASH_BYTES + 16;
const HAS_VERIFICATION = 1;
const HAS_SHA256 = 2;
const IS_OBJECT = 4;

/** Larger values make objects of their own: merging tables would write them again and again. */
export const MAX_VALUE_BYTES = 4096;

/** Bytes that a record takes as a value. */
export function fileEntryBytes({ terms, verification, sha256 }: ShardFile): number {
  const perTerm = TERM_BYTES + (verification === null ? 0 : HASH_BYTES);
  return STAMP_BYTES + 3 + terms.length * perTerm + (sha256 === null ? 0 : HASH_BYTES);
}

/** The entry of a file whose record is too long: where to find it. */
export function encodeObjectEntry({
  shard,
  createdMs,
  sizeBytes,
}: Omit<FileEntry, 'file'>): Uint8Array {
  const writer = new ByteWriter(STAMP_BYTES + 9);
  return writer.bytes(shard.bytes).u64(createdMs).u8(IS_OBJECT).u64(sizeBytes).finish();
}

/**
 * The value of a file's entry.
 *
 * @param writer with room for {@link fileEntryBytes}, where it is written behind what is there
 */
export function encodeFileEntry(
  { shard, createdMs }: ChunkEntry,
  file: ShardFile,
  writer: ByteWriter = new ByteWriter(fileEntryBytes(file)),
): Uint8Array {
  const { terms, verification, sha256 } = file;
  const start = writer.length;
  writer.bytes(shard.bytes).u64(createdMs);
  writer.u8((verification === null ? 0 : HAS_VERIFICATION) | (sha256 === null ? 0 : HAS_SHA256));
  writer.u8(terms.length & 255).u8(terms.length >>> 8);
  for (const { xorb, chunkStart, chunkEnd, unpackedBytes, flags = 0 } of terms) {
    writer.bytes(xorb.bytes).u32(chunkStart).u32(chunkEnd).u32(unpackedBytes).u32(flags);
  }
  for (const hash of verification ?? []) writer.bytes(hash.bytes);
  if (sha256 !== null) writer.bytes(sha256);
  return writer.finish().subarray(start);
}

/** @throws OrbweaverError `TRUNCATED`, `FORMAT_INVALID`, `LIMIT_EXCEEDED` */
export function decodeFileEntry(hash: MerkleHash, value: Uint8Array): FileEntry {
  const reader = new ByteReader(value);
  const { shard, createdMs } = readStamp(reader);
  const flags = reader.u8('flags');
  if (flags === IS_OBJECT) {
    const sizeBytes = reader.u64Number('size');
    if (reader.remaining > 0) throw invalid(`an entry without terms has ${value.length} bytes`);
    return { shard, createdMs, sizeBytes, file: null };
  }
  if (flags > (HAS_VERIFICATION | HAS_SHA256)) throw invalid(`a record has the flags ${flags}`);
  const count = reader.u8('terms') + 256 * reader.u8('terms');
  const has = (flag: number): boolean => (flags & flag) !== 0;
  const perTerm = TERM_BYTES + (has(HAS_VERIFICATION) ? HASH_BYTES : 0);
  if (reader.remaining !== count * perTerm + (has(HAS_SHA256) ? HASH_BYTES : 0)) {
    throw invalid(`a record of ${count} terms has ${value.length} bytes`);
  }
  const terms = Array.from({ length: count }, () => readTerm(reader));
  const verification = has(HAS_VERIFICATION)
    ? Array.from({ length: count }, () => readHash(reader, 'range hash'))
    : null;
  const sha256 = has(HAS_SHA256) ? reader.view(HASH_BYTES, 'SHA-256').slice() : null;
  const file = { hash, terms, verification, sha256 };
  return { shard, createdMs, sizeBytes: sizeOf(file), file };
}

/** Bytes of the file that a record describes. */
export function sizeOf({ terms }: ShardFile): number {
  return terms.reduce((sum, { unpackedBytes }) => sum + unpackedBytes, 0);
}

function readTerm(reader: ByteReader): ShardTerm {
  const xorb = readHash(reader, 'xorb');
  const chunkStart = reader.u32('first chunk');
  const chunkEnd = reader.u32('end chunk');
  const unpackedBytes = reader.u32('unpacked bytes');
  const flags = reader.u32('flags');
  const term = { xorb, chunkStart, chunkEnd, unpackedBytes };
  return flags === 0 ? term : { ...term, flags };
}

export function encodeChunkEntry({ shard, createdMs }: ChunkEntry): Uint8Array {
  return new ByteWriter(STAMP_BYTES).bytes(shard.bytes).u64(createdMs).finish();
}

/** Shard and time of an entry of either section. @throws OrbweaverError as {@link decodeFileEntry} */
export function decodeStamp(value: Uint8Array): ChunkEntry {
  return readStamp(new ByteReader(value));
}

function readStamp(reader: ByteReader): ChunkEntry {
  const shard = readHash(reader, 'shard');
  return { shard, createdMs: reader.u64Number('time') };
}

function readHash(reader: ByteReader, field: string): MerkleHash {
  return MerkleHash.from(reader.view(HASH_BYTES, field));
}

/** In a page an entry is key, length of the value (u16) and value. */
const HEAD_BYTES: number = HASH_BYTES + 2;

export function entryBytes({ value }: TableEntry): number {
  return HEAD_BYTES + value.length;
}

/** Writes an entry at `offset`. */
export function writeEntry(page: Uint8Array, offset: number, { key, value }: TableEntry): void {
  page.set(key, offset);
  page[offset + HASH_BYTES] = value.length & 255;
  page[offset + HASH_BYTES + 1] = value.length >>> 8;
  page.set(value, offset + HEAD_BYTES);
}

/** Where the entry at `at` ends. @throws OrbweaverError `FORMAT_INVALID` */
function entryEnd(page: Uint8Array, at: number): number {
  const valueAt = at + HEAD_BYTES;
  if (valueAt > page.length) throw invalid('a page ends in an entry');
  const length = (page[valueAt - 2] as number) + 256 * (page[valueAt - 1] as number);
  if (length > MAX_VALUE_BYTES || valueAt + length > page.length) {
    throw invalid(`an entry claims ${length} bytes`);
  }
  return valueAt + length;
}

/** The entries of a page, as views of it. @throws OrbweaverError `FORMAT_INVALID` */
export function* entriesOf(page: Uint8Array): Generator<TableEntry> {
  for (let at = 0; at < page.length; ) {
    const end = entryEnd(page, at);
    yield {
      key: page.subarray(at, at + HASH_BYTES),
      value: page.subarray(at + HEAD_BYTES, end),
    };
    at = end;
  }
}

/** Order of the bytes: of the keys, then of the values. */
export function compareEntries(a: TableEntry, b: TableEntry): number {
  return compareBytes(a.key, b.key) || compareBytes(a.value, b.value);
}

export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const difference = (a[at] as number) - (b[at] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Values of `key` in a page, as views of it. @throws OrbweaverError `FORMAT_INVALID` */
export function valuesIn(page: Uint8Array, key: Uint8Array): Uint8Array[] {
  const values: Uint8Array[] = [];
  // A hundred entries are passed over for the one that is meant: without making views of each.
  for (let at = 0; at < page.length; ) {
    const end = entryEnd(page, at);
    const order = compareKeys(page, at, key, 0);
    if (order > 0) break;
    if (order === 0) values.push(page.subarray(at + HEAD_BYTES, end));
    at = end;
  }
  return values;
}

/** Order of the keys that begin at `aStart` and at `bStart`. */
export function compareKeys(a: Uint8Array, aStart: number, b: Uint8Array, bStart: number): number {
  for (let at = 0; at < HASH_BYTES; at++) {
    const difference = (a[aStart + at] as number) - (b[bStart + at] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}
