import { ByteReader, ByteWriter, MAX_CHUNK_BYTES } from '../bytes/index.js';
import { type ErrorCode, OrbweaverError } from '../errors.js';
import { HASH_BYTES, MerkleHash } from '../hash/index.js';
import type { XorbInfo } from './info.js';
import {
  FOOTER_MAX_BYTES,
  RECORD_HEADER_BYTES,
  RECORD_MAX_PAYLOAD_BYTES,
  XORB_MAX_CHUNKS,
} from './limits.js';

/**
 * The footer of a stored xorb ("info"), which never travels with an upload. Behind it stands its
 * own length as u32le. All integers little-endian, n = number of chunks.
 *
 *     version 1, 92 + 40n bytes                     version 0, 60 + 36n bytes (read only)
 *     0        XETBLOB 01                           0       XETBLOB 00
 *     8        xorb hash                            8       xorb hash
 *     40       XBLBHSH 00                           40      n
 *     48       n                                    44      n × u32 end of record
 *     52       n × 32 chunk hash                    44+4n   n × 32 chunk hash
 *     52+32n   XBLBBND 01                           44+36n  16 zero bytes
 *     60+32n   n
 *     64+32n   n × u32 end of record, header included
 *     64+36n   n × u32 end of chunk, uncompressed
 *     64+40n   n
 *     68+40n   52 + 40n: from the end of info back to the hash section
 *     72+40n   40 + 8n: from the end of info back to the boundary section
 *     76+40n   4 bytes nonce, 12 zero bytes
 */

const IDENT = 'XETBLOB';
const HASHES_IDENT = 'XBLBHSH';
const BOUNDARIES_IDENT = 'XBLBBND';
const HASHES_VERSION = 0;
const BOUNDARIES_VERSION = 1;
const RESERVED_BYTES = 16;
const NONCE_BYTES = 4;
const LENGTH_BYTES = 4;
/** Length of info without chunks, and for each chunk. */
const V0_BASE_BYTES = 60;
const V0_CHUNK_BYTES = 36;
const V1_BASE_BYTES = 92;
const V1_CHUNK_BYTES = 40;

/** What {@link decodeFooter} reads. */
export interface XorbFooter {
  readonly version: 0 | 1;
  readonly hash: MerkleHash;
  /** 32 bytes for each chunk, a copy. */
  readonly chunkHashes: Uint8Array;
  readonly recordEnds: Uint32Array;
  /** Null in version 0, which lacks them (`readStoredXorb` finds them in the record headers). */
  readonly rawEnds: Uint32Array | null;
  /** Four bytes; null in version 0. */
  readonly nonce: Uint8Array | null;
  /** Bytes from the start of info to the end of the object, the trailing length included. */
  readonly footerBytes: number;
}

/**
 * Footer of version 1 with its trailing length.
 *
 * @throws RangeError when the lists of `info` do not fit each other or the limits
 */
export function encodeFooter(info: XorbInfo): Uint8Array {
  const count = info.recordEnds.length;
  if (
    info.rawEnds.length !== count ||
    info.chunkHashes.length !== HASH_BYTES * count ||
    count > XORB_MAX_CHUNKS
  ) {
    throw new RangeError(
      `info expected as many record ends, raw ends and hashes, at most ${XORB_MAX_CHUNKS}, got ${count}, ${info.rawEnds.length} and ${info.chunkHashes.length / HASH_BYTES}`,
    );
  }
  const nonce = info.nonce ?? new Uint8Array(NONCE_BYTES);
  if (nonce.length !== NONCE_BYTES) {
    throw new RangeError(`"nonce" expected ${NONCE_BYTES} bytes, got ${nonce.length}`);
  }
  const infoBytes = V1_BASE_BYTES + V1_CHUNK_BYTES * count;
  const writer = new ByteWriter(infoBytes + LENGTH_BYTES);
  writeIdent(writer, IDENT, 1).bytes(info.hash.bytes);
  writeIdent(writer, HASHES_IDENT, HASHES_VERSION).u32(count).bytes(info.chunkHashes);
  writeIdent(writer, BOUNDARIES_IDENT, BOUNDARIES_VERSION).u32(count);
  for (const end of info.recordEnds) writer.u32(end);
  for (const end of info.rawEnds) writer.u32(end);
  writer
    .u32(count)
    .u32(infoBytes - 40)
    .u32(infoBytes - (52 + 32 * count))
    .bytes(nonce)
    .zeros(RESERVED_BYTES - NONCE_BYTES)
    .u32(infoBytes);
  return writer.finish();
}

/**
 * Length of a whole footer (trailing length included), from the last 4 bytes of a stored object:
 * what to read before {@link decodeFooter} when only a tail is at hand.
 *
 * @throws OrbweaverError `TRUNCATED`, `FORMAT_INVALID` (shorter than any footer), `LIMIT_EXCEEDED`
 */
export function storedFooterBytes(tail: Uint8Array): number {
  if (tail.length < LENGTH_BYTES) {
    throw new OrbweaverError(
      'TRUNCATED',
      `"info length" expected ${LENGTH_BYTES} bytes, got ${tail.length}`,
      { field: 'info length', expected: LENGTH_BYTES },
    );
  }
  const at = tail.length - LENGTH_BYTES;
  const infoBytes = new ByteReader(tail, at).u32('info length');
  if (infoBytes < V0_BASE_BYTES) {
    throw fault('FORMAT_INVALID', 'info length', `at least ${V0_BASE_BYTES}`, infoBytes, at);
  }
  if (infoBytes > FOOTER_MAX_BYTES - LENGTH_BYTES) {
    const expected = `at most ${FOOTER_MAX_BYTES - LENGTH_BYTES}`;
    throw fault('LIMIT_EXCEEDED', 'info length', expected, infoBytes, at);
  }
  return infoBytes + LENGTH_BYTES;
}

/**
 * Reads the footer at the end of `bytes`: a whole stored xorb, or any tail of it that contains the
 * footer. Every copy of the count, both offsets, all identifiers and the order of all ends are
 * checked; hashes are not recomputed (`verifyXorb` does).
 *
 * @throws OrbweaverError `TRUNCATED`, `FORMAT_INVALID`, `UNSUPPORTED` (version), `LIMIT_EXCEEDED`
 */
export function decodeFooter(bytes: Uint8Array): XorbFooter {
  const footerBytes = storedFooterBytes(bytes);
  const start = bytes.length - footerBytes;
  if (start < 0) {
    throw new OrbweaverError(
      'TRUNCATED',
      `"footer" expected ${footerBytes} bytes, got ${bytes.length}`,
      { field: 'footer', expected: footerBytes },
    );
  }
  // The window ends before the length: no field of info can run into it.
  const reader = new ByteReader(bytes.subarray(start, bytes.length - LENGTH_BYTES));
  const version = readIdent(reader, IDENT);
  if (version !== 0 && version !== 1) {
    throw fault('UNSUPPORTED', 'footer version', '0 or 1', version, 7);
  }
  const hash = MerkleHash.from(reader.view(HASH_BYTES, 'xorb hash'));
  return version === 0
    ? readVersion0(reader, hash, footerBytes)
    : readVersion1(reader, hash, footerBytes);
}

function readVersion0(reader: ByteReader, hash: MerkleHash, footerBytes: number): XorbFooter {
  const count = readCount(reader, V0_BASE_BYTES, V0_CHUNK_BYTES);
  const recordEnds = readEnds(reader, count, RECORD_ENDS);
  const chunkHashes = reader.view(HASH_BYTES * count, 'chunk hashes').slice();
  return { version: 0, hash, chunkHashes, recordEnds, rawEnds: null, nonce: null, footerBytes };
}

function readVersion1(reader: ByteReader, hash: MerkleHash, footerBytes: number): XorbFooter {
  const infoBytes = reader.bytes.length;
  expectField(reader, 'hashes version', readIdent(reader, HASHES_IDENT), HASHES_VERSION, 1);
  const hashesAt = reader.offset - 8;
  const count = readCount(reader, V1_BASE_BYTES, V1_CHUNK_BYTES);
  const chunkHashes = reader.view(HASH_BYTES * count, 'chunk hashes').slice();

  const boundariesAt = reader.offset;
  const boundariesVersion = readIdent(reader, BOUNDARIES_IDENT);
  expectField(reader, 'boundaries version', boundariesVersion, BOUNDARIES_VERSION, 1);
  expectField(reader, 'chunk count of boundaries', reader.u32('chunk count'), count, 4);
  const recordEnds = readEnds(reader, count, RECORD_ENDS);
  const rawEnds = readEnds(reader, count, RAW_ENDS);

  expectField(reader, 'chunk count at the end', reader.u32('chunk count'), count, 4);
  expectField(reader, 'hash section', reader.u32('offset'), infoBytes - hashesAt, 4);
  expectField(reader, 'boundary section', reader.u32('offset'), infoBytes - boundariesAt, 4);
  const nonce = reader.view(NONCE_BYTES, 'nonce').slice();
  return { version: 1, hash, chunkHashes, recordEnds, rawEnds, nonce, footerBytes };
}

/** The count, held against the length of info before anything is allocated for it. */
function readCount(reader: ByteReader, baseBytes: number, chunkBytes: number): number {
  const at = reader.offset;
  const count = reader.u32('chunk count');
  if (count > XORB_MAX_CHUNKS) {
    throw fault('LIMIT_EXCEEDED', 'chunk count', `at most ${XORB_MAX_CHUNKS}`, count, at);
  }
  const infoBytes = baseBytes + chunkBytes * count;
  if (infoBytes !== reader.bytes.length) {
    const expected = `${infoBytes} for ${count} chunks`;
    throw fault('FORMAT_INVALID', 'info length', expected, reader.bytes.length, at);
  }
  return count;
}

interface EndsRule {
  readonly field: string;
  /** Least and most that one entry may add. */
  readonly minStep: number;
  readonly maxStep: number;
}
const RECORD_ENDS: EndsRule = {
  field: 'record end',
  minStep: RECORD_HEADER_BYTES,
  maxStep: RECORD_HEADER_BYTES + RECORD_MAX_PAYLOAD_BYTES,
};
const RAW_ENDS: EndsRule = { field: 'raw end', minStep: 0, maxStep: MAX_CHUNK_BYTES };

function readEnds(reader: ByteReader, count: number, rule: EndsRule): Uint32Array {
  const ends = new Uint32Array(count);
  let previous = 0;
  for (let i = 0; i < count; i++) {
    const at = reader.offset;
    const end = reader.u32(rule.field);
    if (end < previous + rule.minStep || end > previous + rule.maxStep) {
      const expected = `${previous + rule.minStep} to ${previous + rule.maxStep}`;
      throw fault('FORMAT_INVALID', rule.field, expected, end, at);
    }
    ends[i] = end;
    previous = end;
  }
  return ends;
}

function writeIdent(writer: ByteWriter, ident: string, version: number): ByteWriter {
  for (let i = 0; i < ident.length; i++) writer.u8(ident.charCodeAt(i));
  return writer.u8(version);
}

/** Checks 7 letters and returns the version byte behind them. */
function readIdent(reader: ByteReader, ident: string): number {
  const at = reader.offset;
  for (let i = 0; i < ident.length; i++) {
    const byte = reader.u8(ident);
    if (byte !== ident.charCodeAt(i)) {
      throw fault('FORMAT_INVALID', ident, `byte ${ident.charCodeAt(i)}`, byte, at + i);
    }
  }
  return reader.u8(ident);
}

function expectField(
  reader: ByteReader,
  field: string,
  found: number,
  expected: number,
  fieldBytes: number,
): void {
  if (found !== expected) {
    throw fault('FORMAT_INVALID', field, expected, found, reader.offset - fieldBytes);
  }
}

/** `offset` counts from the start of info. */
function fault(
  code: ErrorCode,
  field: string,
  expected: string | number,
  found: number,
  offset: number,
): OrbweaverError {
  return new OrbweaverError(
    code,
    `"${field}" expected ${expected}, got ${found} at offset ${offset}`,
    { field, offset },
  );
}
