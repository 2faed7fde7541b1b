import { ByteReader, ByteWriter, bytesEqual, isZero } from '../bytes/index.js';
import { OrbweaverError } from '../errors.js';
import {
  FOOTER_BYTES,
  FOOTER_VERSION,
  RECORD_BYTES,
  SHARD_TAG,
  SHARD_VERSION,
} from './constants.js';
import type { ShardFooter } from './types.js';

/**
 * The two ends of a shard.
 *
 *   header   tag 32 | version u64 = 2 | footer size u64 = 0 or 200
 *
 *   footer     0  version u64 = 1
 *              8  file section, 16 xorb section                offsets, u64 each
 *             24  file lookup offset, count
 *             40  xorb lookup offset, count
 *             56  chunk lookup offset, count
 *             72  key of the chunk hashes, 32 bytes
 *            104  created, 112 expires                         unix seconds
 *            120  zero × 48
 *            168  stored on disk, materialized, stored         bytes
 *            192  offset of the footer itself
 *
 * Some clients leave the lookup offsets zero. Nothing here is trusted: `lookup.ts` checks offsets
 * and counts against the bytes before it uses them.
 */

/** Writes the header. */
export function writeHeader(writer: ByteWriter, withFooter: boolean): void {
  writer
    .bytes(SHARD_TAG)
    .u64(SHARD_VERSION)
    .u64(withFooter ? FOOTER_BYTES : 0);
}

/**
 * Reads the header in the first 48 bytes; true when a footer is announced.
 * @throws `TRUNCATED`, `FORMAT_INVALID`, `UNSUPPORTED`
 */
export function readHeader(bytes: Uint8Array): boolean {
  const reader = new ByteReader(bytes);
  if (!bytesEqual(reader.view(SHARD_TAG.length, 'tag'), SHARD_TAG)) {
    throw new OrbweaverError('FORMAT_INVALID', '"tag" expected that of a shard, got other bytes', {
      field: 'tag',
      offset: 0,
    });
  }
  const version = reader.u64('version');
  if (version !== BigInt(SHARD_VERSION)) {
    throw new OrbweaverError('UNSUPPORTED', `"version" expected ${SHARD_VERSION}, got ${version}`, {
      field: 'version',
      offset: 32,
    });
  }
  const footerBytes = reader.u64('footer size');
  if (footerBytes !== 0n && footerBytes !== BigInt(FOOTER_BYTES)) {
    throw new OrbweaverError(
      'FORMAT_INVALID',
      `"footer size" expected 0 or ${FOOTER_BYTES}, got ${footerBytes}`,
      { field: 'footer size', offset: 40 },
    );
  }
  return footerBytes !== 0n;
}

/**
 * The 200 bytes of a footer, as given. @throws RangeError for a key of another length
 *
 * @example
 * bytes.set(encodeShardFooter({ ...footer, createdAt: 0n }), footer.footerOffset);
 */
export function encodeFooter(footer: ShardFooter): Uint8Array {
  if (footer.hmacKey.length !== 32) {
    throw new RangeError(`"hmacKey" expected 32 bytes, got ${footer.hmacKey.length}`);
  }
  return new ByteWriter(FOOTER_BYTES)
    .u64(FOOTER_VERSION)
    .u64(footer.fileSectionOffset)
    .u64(footer.xorbSectionOffset)
    .u64(footer.fileLookupOffset)
    .u64(footer.fileLookupCount)
    .u64(footer.xorbLookupOffset)
    .u64(footer.xorbLookupCount)
    .u64(footer.chunkLookupOffset)
    .u64(footer.chunkLookupCount)
    .bytes(footer.hmacKey)
    .u64(footer.createdAt)
    .u64(footer.expiresAt)
    .zeros(48)
    .u64(footer.storedBytesOnDisk)
    .u64(footer.materializedBytes)
    .u64(footer.storedBytes)
    .u64(footer.footerOffset)
    .finish();
}

/**
 * Reads the 200 bytes of a footer. @throws `TRUNCATED`, `UNSUPPORTED`, `LIMIT_EXCEEDED`
 *
 * @example
 * const footer = decodeShardFooter(bytes.subarray(bytes.length - FOOTER_BYTES));
 */
export function decodeFooter(bytes: Uint8Array): ShardFooter {
  const reader = new ByteReader(bytes);
  const version = reader.u64('footer version');
  if (version !== BigInt(FOOTER_VERSION)) {
    throw new OrbweaverError(
      'UNSUPPORTED',
      `"footer version" expected ${FOOTER_VERSION}, got ${version}`,
      { field: 'footer version' },
    );
  }
  const fileSectionOffset = reader.u64Number('file section offset');
  const xorbSectionOffset = reader.u64Number('xorb section offset');
  const fileLookupOffset = reader.u64Number('file lookup offset');
  const fileLookupCount = reader.u64Number('file lookup count');
  const xorbLookupOffset = reader.u64Number('xorb lookup offset');
  const xorbLookupCount = reader.u64Number('xorb lookup count');
  const chunkLookupOffset = reader.u64Number('chunk lookup offset');
  const chunkLookupCount = reader.u64Number('chunk lookup count');
  const hmacKey = new Uint8Array(32);
  hmacKey.set(reader.view(32, 'key'));
  const createdAt = reader.u64('creation time');
  const expiresAt = reader.u64('expiry');
  reader.skip(48, 'reserved');
  return {
    fileSectionOffset,
    xorbSectionOffset,
    fileLookupOffset,
    fileLookupCount,
    xorbLookupOffset,
    xorbLookupCount,
    chunkLookupOffset,
    chunkLookupCount,
    hmacKey,
    createdAt,
    expiresAt,
    storedBytesOnDisk: reader.u64('stored bytes on disk'),
    materializedBytes: reader.u64('materialized bytes'),
    storedBytes: reader.u64('stored bytes'),
    footerOffset: reader.u64Number('footer offset'),
  };
}

/** The offset of the first section: right behind the header. */
export const FILE_SECTION_OFFSET: number = RECORD_BYTES;

/**
 * The key of a shard's chunk hashes, or null when they are plain.
 *
 * @example
 * if (shardKeyOf(decodeShard(response).footer) !== null) console.log('a keyed dedup response');
 */
export function shardKeyOf(footer: ShardFooter | null): Uint8Array | null {
  return footer === null || isZero(footer.hmacKey) ? null : footer.hmacKey;
}

/**
 * True when the shard's time is over at `nowSeconds` (unix seconds; a shard may be used up to and
 * including its expiry). No footer and expiry 0 (not recorded) mean no expiry.
 *
 * @example
 * if (shardExpired(decodeShard(response).footer, Date.now() / 1000)) return null;
 */
export function shardExpired(footer: ShardFooter | null, nowSeconds: number): boolean {
  return (
    footer !== null && footer.expiresAt !== 0n && BigInt(Math.floor(nowSeconds)) > footer.expiresAt
  );
}
