import { describe, expect, test } from 'vitest';
import { COMPRESSION_POLICIES } from '../../src/compress/index.js';
import { verifyXorb, XORB_MAX_BYTES, XORB_MAX_CHUNKS, XorbBuilder } from '../../src/xorb/index.js';
import { vectorOf } from '../support/vectors.js';
import { build, codec, fromHex, hasher, hex, mixedChunks, options } from './support.js';

describe('XorbBuilder', () => {
  test('three raw chunks give the body and hash of the vector', () => {
    const { input, expected } = vectorOf('xorb', 'three_chunks_scheme0');
    const builder = new XorbBuilder({ ...options, policy: 'none' });
    for (const chunk of input.chunks as string[]) expect(builder.add(fromHex(chunk))).toBe(true);
    const xorb = builder.finish();
    expect(hex(xorb?.bytes ?? new Uint8Array(0))).toBe(expected.upload_body_hex);
    expect(String(xorb?.hash)).toBe(expected.xorb_hash);
  });

  test.each(COMPRESSION_POLICIES)('what policy %s builds passes verification', (policy) => {
    const builder = new XorbBuilder({ codec, hasher, policy });
    const chunks = mixedChunks(41, 20, 12_000);
    for (const chunk of chunks) builder.add(chunk);
    expect(builder.chunkCount).toBe(20);
    const { serializedBytes } = builder;
    const xorb = builder.finish();
    if (xorb === null) throw new Error('nothing built');
    expect(xorb.bytes.length).toBe(serializedBytes);
    expect(xorb.rawEnds[19]).toBe(chunks.reduce((sum, { length }) => sum + length, 0));
    const found = verifyXorb(options, xorb.bytes, xorb.hash);
    expect(found.chunkHashes).toEqual(xorb.chunkHashes);
    expect(found.recordEnds).toEqual(xorb.recordEnds);
    expect(found.rawEnds).toEqual(xorb.rawEnds);
    expect(found.recordsBytes).toBe(xorb.bytes.length);
  });

  test('nothing added is null, and one builder makes equal xorbs one after another', () => {
    const builder = new XorbBuilder(options);
    expect(builder.finish()).toBeNull();
    const chunks = mixedChunks(42, 70, 900);
    const made = [0, 1].map(() => {
      for (const chunk of chunks) builder.add(chunk);
      return builder.finish();
    });
    expect(made[1]).toEqual(made[0]);
    expect(made[0]?.hash.equals(build(chunks).hash)).toBe(true);
    expect(builder.finish()).toBeNull();
    expect(builder.chunkCount + builder.serializedBytes).toBe(0);
  });

  test('the limit of bytes counts raw bytes and 8 for each chunk, and refuses before it is passed', () => {
    const builder = new XorbBuilder({ ...options, maxBytes: 262_160 });
    const zeros = new Uint8Array(131_072);
    expect(builder.add(zeros)).toBe(true);
    expect(builder.fits(131_073)).toBe(false);
    expect(builder.fits(131_072)).toBe(true);
    expect(builder.add(zeros)).toBe(true);
    expect(builder.serializedBytes).toBeLessThan(2000);
    expect(builder.add(new Uint8Array(1))).toBe(false);
    expect(builder.finish()?.recordEnds.length).toBe(2);
    expect(builder.add(new Uint8Array(1))).toBe(true);
  });

  test('the limit of chunks refuses before it is passed', () => {
    const builder = new XorbBuilder({ ...options, maxChunks: 3 });
    const one = Uint8Array.of(1);
    expect([builder.add(one), builder.add(one), builder.add(one), builder.add(one)]).toEqual([
      true,
      true,
      true,
      false,
    ]);
    expect(builder.finish()?.recordEnds.length).toBe(3);
  });

  test('8192 chunks are the default limit', () => {
    const builder = new XorbBuilder(options);
    let added = 0;
    while (builder.add(Uint8Array.of(added & 255))) added++;
    expect(added).toBe(XORB_MAX_CHUNKS);
    const xorb = builder.finish();
    expect(xorb?.bytes.length).toBe(9 * 8192);
    expect(verifyXorb(options, xorb?.bytes ?? new Uint8Array(0)).rawEnds.length).toBe(8192);
  });

  test('64 MiB of raw bytes and headers is the default limit', () => {
    const builder = new XorbBuilder(options);
    expect(XORB_MAX_BYTES).toBe(67_108_864);
    expect(builder.fits(XORB_MAX_BYTES - 8)).toBe(true);
    expect(builder.fits(XORB_MAX_BYTES - 7)).toBe(false);
  });

  test('limits outside of the protocol and chunks above 128 KiB are RangeErrors', () => {
    const make = (limits: { maxBytes?: number; maxChunks?: number }) => () =>
      new XorbBuilder({ ...options, ...limits });
    expect(make({ maxBytes: XORB_MAX_BYTES + 1 })).toThrow(RangeError);
    expect(make({ maxBytes: 131_079 })).toThrow(RangeError);
    expect(make({ maxBytes: Number.NaN })).toThrow(RangeError);
    expect(make({ maxChunks: 0 })).toThrow(RangeError);
    expect(make({ maxChunks: 8193 })).toThrow(RangeError);
    const builder = new XorbBuilder(options);
    expect(() => builder.add(new Uint8Array(131_073))).toThrow(RangeError);
    expect(builder.chunkCount).toBe(0);
  });
});
