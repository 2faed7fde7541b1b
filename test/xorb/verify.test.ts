import { describe, expect, test } from 'vitest';
import { MerkleHash } from '../../src/hash/index.js';
import { encodeFooter, verifyXorb, XORB_ACCEPT_MAX_BYTES } from '../../src/xorb/index.js';
import { vectorOf } from '../support/vectors.js';
import {
  build,
  codec,
  codeOf,
  concat,
  flippedBits,
  fromHex,
  hasher,
  hex,
  mixedChunks,
  options,
} from './support.js';

const xorb = build(mixedChunks(31, 40, 30_000));
const small = build(mixedChunks(32, 4, 120));

describe('verifyXorb', () => {
  test('the vector of three chunks has its hashes, ends and root', () => {
    const { expected } = vectorOf('xorb', 'three_chunks_scheme0');
    const body = fromHex(expected.upload_body_hex);
    const found = verifyXorb(options, body, MerkleHash.parse(expected.xorb_hash));
    expect(found.hash.toString()).toBe(expected.xorb_hash);
    expect([...found.recordEnds]).toEqual(expected.chunk_boundary_offsets);
    expect([...found.rawEnds]).toEqual(expected.unpacked_chunk_offsets);
    const hashes = [0, 32, 64].map((at) => MerkleHash.from(found.chunkHashes, at).toString());
    expect(hashes).toEqual(expected.chunk_hashes);
    expect(found.recordsBytes).toBe(body.length);
  });

  test('finds what the builder made, whatever the scratch memory', () => {
    for (const chunkCount of [2, 3, 9, 40]) {
      const scratch = new Uint8Array(131_072 * chunkCount);
      const found = verifyXorb({ codec, hasher, scratch }, xorb.bytes, xorb.hash);
      expect(found.chunkHashes).toEqual(xorb.chunkHashes);
      expect(found.recordEnds).toEqual(xorb.recordEnds);
      expect(found.rawEnds).toEqual(xorb.rawEnds);
    }
    const scratch = new Uint8Array(2 * 131_072 - 1);
    expect(() => verifyXorb({ codec, hasher, scratch }, xorb.bytes)).toThrow(RangeError);
  });

  test('stops at a footer and says where', () => {
    const stored = concat([xorb.bytes, encodeFooter(xorb)]);
    expect(verifyXorb(options, stored, xorb.hash).recordsBytes).toBe(xorb.bytes.length);
    const garbage = concat([
      xorb.bytes,
      Uint8Array.from('XETBLOB?garbage', (c) => c.charCodeAt(0)),
    ]);
    expect(verifyXorb(options, garbage, xorb.hash).recordsBytes).toBe(xorb.bytes.length);
  });

  test('another hash than expected is INTEGRITY', () => {
    expect(codeOf(() => verifyXorb(options, xorb.bytes, MerkleHash.ZERO))).toBe('INTEGRITY');
    expect(codeOf(() => verifyXorb(options, small.bytes, xorb.hash))).toBe('INTEGRITY');
  });

  test('no chunks are FORMAT_INVALID, with or without a footer', () => {
    expect(codeOf(() => verifyXorb(options, new Uint8Array(0)))).toBe('FORMAT_INVALID');
    const none = {
      hash: MerkleHash.ZERO,
      chunkHashes: new Uint8Array(0),
      recordEnds: new Uint32Array(0),
      rawEnds: new Uint32Array(0),
    };
    expect(codeOf(() => verifyXorb(options, encodeFooter(none)))).toBe('FORMAT_INVALID');
  });

  test('a body above the limit is refused unread', () => {
    const bytes = new Uint8Array(XORB_ACCEPT_MAX_BYTES + 1);
    expect(codeOf(() => verifyXorb(options, bytes))).toBe('LIMIT_EXCEEDED');
  });

  test('more than 8192 chunks are LIMIT_EXCEEDED', () => {
    expect(codeOf(() => verifyXorb(options, new Uint8Array(8 * 8193)))).toBe('LIMIT_EXCEEDED');
  });

  test('a body cut at any byte has a typed error', () => {
    for (let end = 0; end < small.bytes.length; end++) {
      const code = codeOf(() => verifyXorb(options, small.bytes.subarray(0, end), small.hash));
      const whole = small.recordEnds.includes(end);
      expect(code, `cut at ${end}`).toBe(
        end === 0 ? 'FORMAT_INVALID' : whole ? 'INTEGRITY' : 'TRUNCATED',
      );
    }
  });

  test('any flipped bit is a typed error, or one that no decoder looks at', () => {
    for (const { bytes } of flippedBits(small.bytes)) {
      const code = codeOf(() => {
        const found = verifyXorb(options, bytes, small.hash);
        expect(hex(found.chunkHashes)).toBe(hex(small.chunkHashes));
      });
      if (code !== null) {
        expect(code).toMatch(
          /^(INTEGRITY|TRUNCATED|FORMAT_INVALID|UNSUPPORTED|LIMIT_EXCEEDED|CHECKSUM_MISMATCH)$/,
        );
      }
    }
  });

  test('a checked footer has to fit in every field', () => {
    const check = (footer: Uint8Array) =>
      codeOf(() => verifyXorb({ ...options, footer: 'check' }, concat([small.bytes, footer])));
    const good = encodeFooter(small);
    expect(check(good)).toBeNull();
    expect(check(new Uint8Array(0))).toBeNull();
    expect(check(encodeFooter({ ...small, hash: MerkleHash.ZERO }))).toBe('INTEGRITY');
    const chunkHashes = small.chunkHashes.slice().reverse();
    expect(check(encodeFooter({ ...small, chunkHashes }))).toBe('INTEGRITY');
    expect(
      check(encodeFooter({ ...small, recordEnds: small.recordEnds.map((end) => end + 1) })),
    ).toBe('FORMAT_INVALID');
    expect(check(encodeFooter({ ...small, rawEnds: small.rawEnds.map((end) => end + 1) }))).toBe(
      'FORMAT_INVALID',
    );
    expect(check(concat([good, good]))).toBe('FORMAT_INVALID');
    expect(check(good.subarray(0, good.length - 1))).not.toBeNull();
    expect(check(encodeFooter({ ...small, nonce: Uint8Array.of(1, 2, 3, 4) }))).toBeNull();
  });

  test('a body in shared memory is verified', () => {
    const view = new Uint8Array(new SharedArrayBuffer(xorb.bytes.length));
    view.set(xorb.bytes);
    expect(verifyXorb(options, view, xorb.hash).hash.equals(xorb.hash)).toBe(true);
  });

  test('chunks of 128 KiB of zeros, the worst ratio, need no more than the scratch', () => {
    const zeros = new Uint8Array(131_072);
    const bomb = build(Array.from({ length: 64 }, () => zeros));
    expect(bomb.bytes.length).toBeLessThan(64 * 600);
    const scratch = new Uint8Array(2 * 131_072);
    const found = verifyXorb({ codec, hasher, scratch }, bomb.bytes, bomb.hash);
    expect(found.rawEnds[63]).toBe(64 * 131_072);
  });
});
