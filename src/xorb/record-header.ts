import { MAX_CHUNK_BYTES } from '../bytes/index.js';
import { type CompressionScheme, SCHEME_NONE } from '../compress/index.js';
import { OrbweaverError } from '../errors.js';
import { RECORD_HEADER_BYTES, RECORD_MAX_PAYLOAD_BYTES } from './limits.js';

/**
 * The header of a chunk record.
 *
 *     0  u8     version, 0
 *     1  u24le  compressed length: payload bytes that follow
 *     4  u8     compression scheme: 0 none, 1 lz4, 2 bg4-lz4
 *     5  u24le  uncompressed length
 */
export interface RecordHeader {
  readonly version: number;
  readonly compressedLength: number;
  readonly scheme: CompressionScheme;
  readonly uncompressedLength: number;
}

/** Of the scheme in a header that was checked before. */
export const SCHEME_OFFSET = 4;

/** First 7 bytes of a footer (`XETBLOB`), which no record header can start with. */
const FOOTER_IDENT: readonly number[] = [0x58, 0x45, 0x54, 0x42, 0x4c, 0x4f, 0x42];

/**
 * Reads the header at `offset` and checks every field. Whether the payload is there is for the
 * caller to check: a header may be all that has arrived.
 *
 * @param position what errors call the offset, where `bytes` is a window of something longer
 * @throws OrbweaverError `TRUNCATED` fewer than 8 bytes; `UNSUPPORTED` version or scheme;
 * `LIMIT_EXCEEDED` more than 131072 uncompressed or 262144 compressed bytes; `FORMAT_INVALID`
 * scheme none with two different lengths
 */
export function readRecordHeader(
  bytes: Uint8Array,
  offset: number,
  position: number = offset,
): RecordHeader {
  if (offset < 0 || bytes.length - offset < RECORD_HEADER_BYTES) {
    throw new OrbweaverError(
      'TRUNCATED',
      `"record header" expected ${RECORD_HEADER_BYTES} bytes at offset ${position}, got ${Math.max(0, bytes.length - offset)}`,
      { field: 'record header', offset: position, expected: RECORD_HEADER_BYTES },
    );
  }
  const version = bytes[offset] as number;
  const scheme = bytes[offset + 4] as number;
  const compressedLength = readU24(bytes, offset + 1);
  const uncompressedLength = readU24(bytes, offset + 5);
  if (version !== 0) throw fault('UNSUPPORTED', 'record version', '0', version, position);
  if (scheme !== 0 && scheme !== 1 && scheme !== 2) {
    throw fault('UNSUPPORTED', 'compression scheme', '0, 1 or 2', scheme, position + 4);
  }
  if (uncompressedLength > MAX_CHUNK_BYTES) {
    const expected = `at most ${MAX_CHUNK_BYTES}`;
    throw fault(
      'LIMIT_EXCEEDED',
      'uncompressed length',
      expected,
      uncompressedLength,
      position + 5,
    );
  }
  if (compressedLength > RECORD_MAX_PAYLOAD_BYTES) {
    const expected = `at most ${RECORD_MAX_PAYLOAD_BYTES}`;
    throw fault('LIMIT_EXCEEDED', 'compressed length', expected, compressedLength, position + 1);
  }
  if (scheme === SCHEME_NONE && compressedLength !== uncompressedLength) {
    const expected = `${uncompressedLength} for scheme none`;
    throw fault('FORMAT_INVALID', 'compressed length', expected, compressedLength, position + 1);
  }
  return { version, compressedLength, scheme, uncompressedLength };
}

/**
 * Writes a header of version 0 at `offset`.
 * @throws RangeError when a length is outside its limit or `bytes` has no room
 */
export function writeRecordHeader(
  bytes: Uint8Array,
  offset: number,
  header: Omit<RecordHeader, 'version'>,
): void {
  const { compressedLength, scheme, uncompressedLength } = header;
  if (offset < 0 || bytes.length - offset < RECORD_HEADER_BYTES) {
    throw new RangeError(`"bytes" expected ${RECORD_HEADER_BYTES} bytes at offset ${offset}`);
  }
  if (compressedLength > RECORD_MAX_PAYLOAD_BYTES || uncompressedLength > MAX_CHUNK_BYTES) {
    throw new RangeError(
      `record lengths ${compressedLength} and ${uncompressedLength} are above the limits`,
    );
  }
  bytes[offset] = 0;
  writeU24(bytes, offset + 1, compressedLength);
  bytes[offset + 4] = scheme;
  writeU24(bytes, offset + 5, uncompressedLength);
}

/** True when a footer starts at `offset`, so that the list of records is over. */
export function isFooterIdent(bytes: Uint8Array, offset: number): boolean {
  return FOOTER_IDENT.every((byte, i) => bytes[offset + i] === byte);
}

function readU24(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) | ((bytes[at + 1] as number) << 8) | ((bytes[at + 2] as number) << 16)
  );
}

function writeU24(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value;
  bytes[at + 1] = value >>> 8;
  bytes[at + 2] = value >>> 16;
}

function fault(
  code: 'UNSUPPORTED' | 'LIMIT_EXCEEDED' | 'FORMAT_INVALID',
  field: string,
  expected: string,
  found: number,
  offset: number,
): OrbweaverError {
  return new OrbweaverError(
    code,
    `"${field}" expected ${expected}, got ${found} at offset ${offset}`,
    { field, offset },
  );
}
