import { ByteReader, type ByteWriter, MAX_CHUNK_BYTES } from '../bytes/index.js';
import { OrbweaverError } from '../errors.js';
import { HASH_BYTES, MerkleHash, sha256ToShardBytes, shardBytesToSha256 } from '../hash/index.js';
import {
  FILE_FLAG_METADATA,
  FILE_FLAG_VERIFICATION,
  RECORD_BYTES,
  XORB_CHUNKS_ACCEPT_MAX,
} from './constants.js';
import type { ShardFile, ShardTerm, ShardXorb } from './types.js';

/**
 * The records of the two sections, each written and read here. All are 48 bytes, little-endian:
 *
 *   file header     hash 32 | flags u32 | terms n u32 | 0 u64
 *   n terms         xorb hash 32 | xorb flags u32 | unpacked bytes u32 | start u32 | end u32
 *   n verifications range hash 32 | 0 × 16                          if flag bit 31
 *   metadata        SHA-256 with reversed groups 32 | 0 × 16        if flag bit 30
 *
 *   xorb header     hash 32 | flags u32 | chunks n u32 | raw bytes u32 | serialized bytes u32
 *   n chunks        hash 32 | raw offset u32 | length u32 | flags u32 | 0 u32
 *
 *   bookend         FF × 32 | 00 × 16                               ends either section
 */

const MAX_U32 = 0xffffffff;

/** Bytes of a file's records. */
export function fileRecordBytes(
  termCount: number,
  verification: boolean,
  metadata: boolean,
): number {
  return RECORD_BYTES * (1 + termCount * (verification ? 2 : 1) + (metadata ? 1 : 0));
}

/** Bytes of a xorb's records. */
export function xorbRecordBytes(chunkCount: number): number {
  return RECORD_BYTES * (1 + chunkCount);
}

/** True when the record that starts at `offset` ends a section. */
export function isBookend(bytes: Uint8Array, offset: number): boolean {
  for (let i = 0; i < HASH_BYTES; i++) if (bytes[offset + i] !== 0xff) return false;
  return true;
}

/** Writes the record that ends a section. */
export function writeBookend(writer: ByteWriter): void {
  writer.bytes(new Uint8Array(HASH_BYTES).fill(0xff)).zeros(16);
}

/** Bytes of the file's records, told by its header record at `offset`. */
export function claimedFileBytes(bytes: Uint8Array, offset: number): number {
  const reader = new ByteReader(bytes, offset + HASH_BYTES);
  const flags = reader.u32('file flags');
  const count = reader.u32('term count');
  return fileRecordBytes(
    count,
    (flags & FILE_FLAG_VERIFICATION) !== 0,
    (flags & FILE_FLAG_METADATA) !== 0,
  );
}

/** Bytes of the xorb's records, told by its header record at `offset`. @throws `LIMIT_EXCEEDED` */
export function claimedXorbBytes(bytes: Uint8Array, offset: number): number {
  const count = new ByteReader(bytes, offset + HASH_BYTES + 4).u32('chunk count');
  if (count > XORB_CHUNKS_ACCEPT_MAX) {
    throw new OrbweaverError(
      'LIMIT_EXCEEDED',
      `"chunk count" expected at most ${XORB_CHUNKS_ACCEPT_MAX}, got ${count}`,
      { field: 'chunk count', offset, count },
    );
  }
  return xorbRecordBytes(count);
}

/** How a file is written. */
export interface WriteFileOptions {
  /** With its range hashes. */
  readonly verification: boolean;
  /** Told of each record; true when a step has done enough. */
  readonly isDue: (records: number) => boolean;
}

/** Writes a file's records in steps. @throws RangeError for values that do not fit their fields */
export function* writeFile(
  writer: ByteWriter,
  file: ShardFile,
  { verification, isDue }: WriteFileOptions,
): Generator<void> {
  const hashes = verification ? file.verification : null;
  if (hashes !== null && hashes.length !== file.terms.length) {
    throw new RangeError(
      `"verification" expected ${file.terms.length} hashes, got ${hashes.length}`,
    );
  }
  const flags =
    (hashes === null ? 0 : FILE_FLAG_VERIFICATION) +
    (file.sha256 === null ? 0 : FILE_FLAG_METADATA);
  writer.bytes(file.hash.bytes).u32(flags).u32(file.terms.length).zeros(8);
  for (const term of file.terms) {
    if (isDue(1)) yield;
    writer
      .bytes(term.xorb.bytes)
      .u32(u32('term flags', term.flags ?? 0))
      .u32(u32('unpackedBytes', term.unpackedBytes))
      .u32(u32('chunkStart', term.chunkStart))
      .u32(u32('chunkEnd', term.chunkEnd));
  }
  for (const hash of hashes ?? []) {
    if (isDue(1)) yield;
    writer.bytes(hash.bytes).zeros(16);
  }
  if (file.sha256 !== null) writer.bytes(sha256ToShardBytes(file.sha256)).zeros(16);
}

/** Reads a file's records at `offset`; the window must hold all {@link claimedFileBytes}. */
export function readFile(bytes: Uint8Array, offset: number): ShardFile {
  const reader = startFile(bytes, offset);
  reader.take(bytes.subarray(offset + RECORD_BYTES), offset + RECORD_BYTES);
  return reader.finish();
}

/** A file whose records come bit by bit, so that a million of them are no work of one moment. */
export interface FileRecords {
  /** Reads the whole records in `bytes` that are the file's; returns how many bytes they were. */
  take(bytes: Uint8Array, at: number): number;
  /** Bytes that are still to come. */
  readonly missingBytes: number;
  finish(): ShardFile;
}

/**
 * The file whose header record is at `offset`.
 *
 * @param xorbOf one object for all terms that name a xorb
 */
export function startFile(
  bytes: Uint8Array,
  offset: number,
  xorbOf: (hash: Uint8Array) => MerkleHash = (hash) => MerkleHash.from(hash),
): FileRecords {
  const reader = new ByteReader(bytes, offset);
  const hash = MerkleHash.from(reader.view(HASH_BYTES, 'file hash'));
  const flags = reader.u32('file flags');
  const count = reader.u32('term count');
  const terms: ShardTerm[] = [];
  const verification: MerkleHash[] | null = (flags & FILE_FLAG_VERIFICATION) !== 0 ? [] : null;
  const hashCount = verification === null ? 0 : count;
  const total = count + hashCount + ((flags & FILE_FLAG_METADATA) !== 0 ? 1 : 0);
  let sha256: Uint8Array | null = null;
  let taken = 0;
  let xorb = MerkleHash.ZERO;

  function readTerm(from: ByteReader, at: number): ShardTerm {
    // Neighbouring terms often name the same xorb: one object for all of them.
    const hashBytes = from.view(HASH_BYTES, 'xorb hash');
    if (!sameHash(hashBytes, xorb)) xorb = xorbOf(hashBytes);
    const termFlags = from.u32('term flags');
    const unpackedBytes = from.u32('unpacked bytes');
    const chunkStart = from.u32('chunk start');
    const chunkEnd = from.u32('chunk end');
    if (chunkStart >= chunkEnd) {
      throw new OrbweaverError(
        'FORMAT_INVALID',
        `"chunk end" expected more than ${chunkStart} at offset ${at}, got ${chunkEnd}`,
        { field: 'chunk end', offset: at, term: taken },
      );
    }
    const term = { xorb, unpackedBytes, chunkStart, chunkEnd };
    return termFlags === 0 ? term : { ...term, flags: termFlags };
  }

  return {
    get missingBytes() {
      return (total - taken) * RECORD_BYTES;
    },
    take(records, at) {
      const whole = Math.min(total - taken, Math.floor(records.length / RECORD_BYTES));
      const from = new ByteReader(records, 0);
      for (let left = whole; left > 0; left--, taken++) {
        if (taken < count) {
          terms.push(readTerm(from, at + from.offset));
          continue;
        }
        if (taken < count + hashCount) {
          verification?.push(MerkleHash.from(from.view(HASH_BYTES, 'verification hash')));
        } else sha256 = shardBytesToSha256(from.view(HASH_BYTES, 'sha256'));
        from.skip(16, 'file record');
      }
      return whole * RECORD_BYTES;
    },
    finish: () => ({ hash, terms, verification, sha256 }),
  };
}

/** Chunk hashes and flags that replace those of the xorb as it is written. */
export interface XorbOverrides {
  readonly chunkHashes?: Uint8Array;
  readonly chunkFlags?: Uint32Array | null;
}

/**
 * Writes a xorb's records. Offsets and the sum are made from the lengths, so that what is written
 * is consistent whatever was read.
 * @throws RangeError for lists of different lengths
 */
export function writeXorb(writer: ByteWriter, xorb: ShardXorb, overrides: XorbOverrides): void {
  const lengths = xorb.chunkLengths;
  const count = lengths.length;
  const hashes = overrides.chunkHashes ?? xorb.chunkHashes;
  const flags = overrides.chunkFlags === undefined ? xorb.chunkFlags : overrides.chunkFlags;
  if (hashes.length !== count * HASH_BYTES) {
    throw new RangeError(
      `"chunkHashes" expected ${count * HASH_BYTES} bytes, got ${hashes.length}`,
    );
  }
  let rawBytes = 0;
  for (const length of lengths) rawBytes += length;
  writer
    .bytes(xorb.hash.bytes)
    .u32(u32('flags', xorb.flags ?? 0))
    .u32(count)
    .u32(u32('rawBytes', rawBytes))
    .u32(u32('serializedBytes', xorb.serializedBytes));
  let start = 0;
  for (let i = 0; i < count; i++) {
    writer
      .bytes(hashes.subarray(i * HASH_BYTES, (i + 1) * HASH_BYTES))
      .u32(start)
      .u32(lengths[i] as number)
      .u32(flags === null ? 0 : (flags[i] ?? 0))
      .u32(0);
    start += lengths[i] as number;
  }
}

/**
 * Reads a xorb's records at `offset`; the window must hold all {@link claimedXorbBytes}. Offsets
 * and sums are kept as they are written: other clients differ there, and `verify.ts` judges them.
 */
export function readXorb(bytes: Uint8Array, offset: number): ShardXorb {
  const reader = new ByteReader(bytes, offset);
  const hash = MerkleHash.from(reader.view(HASH_BYTES, 'xorb hash'));
  const flags = reader.u32('xorb flags');
  const count = reader.u32('chunk count');
  const rawBytes = reader.u32('raw bytes');
  const serializedBytes = reader.u32('serialized bytes');
  if (reader.remaining < count * RECORD_BYTES) {
    // Before the four arrays below: their size must never come from a claim alone.
    throw new OrbweaverError(
      'TRUNCATED',
      `"chunk entries" expected ${count * RECORD_BYTES} bytes at offset ${reader.offset}, got ${reader.remaining}`,
      { field: 'chunk entries', offset: reader.offset },
    );
  }
  const chunkHashes = new Uint8Array(count * HASH_BYTES);
  const chunkStarts = new Uint32Array(count);
  const chunkLengths = new Uint32Array(count);
  const chunkFlags = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    const at = reader.offset;
    chunkHashes.set(reader.view(HASH_BYTES, 'chunk hash'), i * HASH_BYTES);
    chunkStarts[i] = reader.u32('chunk offset');
    const length = reader.u32('chunk length');
    if (length === 0 || length > MAX_CHUNK_BYTES) {
      throw new OrbweaverError(
        'LIMIT_EXCEEDED',
        `"chunk length" expected 1 to ${MAX_CHUNK_BYTES} at offset ${at}, got ${length}`,
        { field: 'chunk length', offset: at, chunk: i },
      );
    }
    chunkLengths[i] = length;
    chunkFlags[i] = reader.u32('chunk flags');
    reader.skip(4, 'chunk entry');
  }
  const xorb = {
    hash,
    chunkHashes,
    chunkStarts,
    chunkLengths,
    chunkFlags,
    rawBytes,
    serializedBytes,
  };
  return flags === 0 ? xorb : { ...xorb, flags };
}

function sameHash(bytes: Uint8Array, hash: MerkleHash): boolean {
  for (let i = 0; i < HASH_BYTES; i++) if (bytes[i] !== hash.bytes[i]) return false;
  return true;
}

function u32(field: string, value: number): number {
  if (!Number.isInteger(value) || value < 0 || value > MAX_U32) {
    throw new RangeError(`"${field}" expected an integer of 32 bits, got ${value}`);
  }
  return value;
}
