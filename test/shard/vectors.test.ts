import { describe, expect, it } from 'vitest';
import { hexDecode, hexEncode } from '../../src/bytes/index.js';
import { MerkleHash } from '../../src/hash/index.js';
import {
  decodeShard,
  decodeShardFooter,
  encodeShard,
  encodeShardFooter,
  shardExpired,
  verifyShard,
} from '../../src/shard/index.js';
import { vectorOf } from '../support/vectors.js';

describe('known answers of group shard', () => {
  it('reads upload_minimal and writes the same bytes', () => {
    const { expected } = vectorOf('shard', 'upload_minimal');
    const bytes = hexDecode(expected.hex);
    const shard = decodeShard(bytes);
    expect(bytes.length).toBe(expected.size);
    expect(shard.footer).toBeNull();
    expect(shard.files).toHaveLength(1);
    const [file] = shard.files;
    expect(file?.hash.toString()).toBe(expected.file_hash);
    expect(file?.verification?.map(String)).toEqual([expected.verification_hash]);
    expect(hexEncode(file?.sha256 ?? new Uint8Array())).toBe(expected.sha256);
    expect(hexEncode(bytes)).toContain(expected.sha256_field_bytes);
    expect(shard.xorbs.map((xorb) => Array.from(xorb.chunkLengths))).toEqual([[11, 100, 50]]);
    verifyShard(shard);
    expect(hexEncode(encodeShard(shard, { variant: 'upload' }))).toBe(expected.hex);
  });

  it('starts with the bytes of header_bytes and ends sections with its bookend', () => {
    const { expected } = vectorOf('shard', 'header_bytes');
    const empty = { files: [], xorbs: [], footer: null };
    const without = hexEncode(encodeShard(empty, { variant: 'upload' }));
    expect(without).toBe(
      expected.tag_hex +
        expected.version_le +
        expected.footer_size_le_without_footer +
        expected.bookend_hex +
        expected.bookend_hex,
    );
    const withFooter = hexEncode(encodeShard(empty, { variant: 'stored' }));
    expect(withFooter.slice(64, 96)).toBe(
      expected.version_le + expected.footer_size_le_with_footer,
    );
  });

  it('writes empty_file_entry for an empty file', () => {
    const { expected } = vectorOf('shard', 'empty_file_entry');
    const file = { hash: MerkleHash.ZERO, terms: [], verification: [], sha256: null };
    const bytes = encodeShard({ files: [file], xorbs: [], footer: null }, { variant: 'upload' });
    expect(hexEncode(bytes)).toBe(expected.hex);
    expect(decodeShard(bytes).files[0]?.verification).toEqual([]);
  });

  it('holds the footer facts of server_dedup_sample', () => {
    const { footer: facts } = vectorOf('shard', 'server_dedup_sample').expected;
    const footer = {
      fileSectionOffset: facts.file_info_offset,
      xorbSectionOffset: facts.cas_info_offset,
      fileLookupOffset: facts.file_lookup_offset,
      fileLookupCount: facts.file_lookup_num,
      xorbLookupOffset: facts.cas_lookup_offset,
      xorbLookupCount: facts.cas_lookup_num,
      chunkLookupOffset: facts.chunk_lookup_offset,
      chunkLookupCount: facts.chunk_lookup_num,
      hmacKey: hexDecode(facts.hmac_key_hex),
      createdAt: BigInt(facts.creation),
      expiresAt: BigInt(facts.expiry),
      storedBytesOnDisk: BigInt(facts.stored_bytes_on_disk),
      materializedBytes: BigInt(facts.materialized_bytes),
      storedBytes: BigInt(facts.stored_bytes),
      footerOffset: facts.footer_offset,
    };
    const bytes = encodeShardFooter(footer);
    expect(bytes.length).toBe(200);
    expect(decodeShardFooter(bytes)).toEqual(footer);
    expect(facts.expiry - facts.creation).toBe(facts.lifetime_seconds);
    expect(shardExpired(footer, facts.expiry)).toBe(false);
    expect(shardExpired(footer, facts.expiry + 1)).toBe(true);
  });
});
