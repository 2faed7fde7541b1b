import { describe, expect, test } from 'vitest';
import { lz4FrameDecode } from '../../src/compress/index.js';
import { MerkleHash } from '../../src/hash/index.js';
import { createRecordDecoder, createRecordPacker, verifyXorb } from '../../src/xorb/index.js';
import { type GeneratorSpec, generate } from '../support/generators.js';
import { tiersUnderTest } from '../support/tiers.js';
import { nativeBytes, readFixture, readJsonFixture, vectorsOf } from '../support/vectors.js';
import { codec, concat, hasher, hex, mixedChunks } from './support.js';

describe.each(tiersUnderTest())('tier $name', async (tier) => {
  const kernels = await tier.create();

  test('verifies the stored xorb of the native client', () => {
    const name = MerkleHash.parse(nativeBytes().stored_xorb);
    const found = verifyXorb(
      { ...kernels, footer: 'check' },
      readFixture('native/stored.xorb'),
      name,
    );
    expect(found.recordsBytes).toBe(readFixture('native/upload.xorb').length);
  });

  test('reads every frame of the C library', () => {
    const frames =
      readJsonFixture<{ name: string; content: GeneratorSpec; frame: string }[]>('lz4/frames.json');
    for (const { name, content, frame } of frames) {
      const expected = generate(content);
      const out = new Uint8Array(expected.length);
      lz4FrameDecode(kernels.codec, new Uint8Array(Buffer.from(frame, 'base64')), out);
      expect(Buffer.compare(out, expected), name).toBe(0);
    }
  });

  test('groups as the vectors say', () => {
    for (const { input, expected } of vectorsOf('bg4')) {
      const out = new Uint8Array(input.length);
      kernels.codec.bg4Split(Uint8Array.from(input as number[]), out);
      expect([...out]).toEqual(expected);
    }
  });

  test('packs what the readable tier decodes, and decodes what the readable tier packs', () => {
    const chunks = mixedChunks(61, 24, 131_072);
    const raw = concat(chunks);
    const lengths = Uint32Array.from(chunks, (chunk) => chunk.length);
    const pack = (with_: typeof codec): Uint8Array => {
      // In place, with the least headroom.
      const memory = concat([new Uint8Array(8 * chunks.length), raw]);
      let at = 8 * chunks.length;
      const starts = lengths.map((length) => {
        at += length;
        return at - length;
      });
      const packer = createRecordPacker({ codec: with_ });
      const bytes = packer.pack(memory, starts, lengths, memory, 0, new Uint32Array(chunks.length));
      return memory.subarray(0, bytes);
    };
    const decode = (
      options: { codec: typeof codec; hasher: typeof hasher },
      records: Uint8Array,
    ) => {
      const out = new Uint8Array(raw.length);
      const decoder = createRecordDecoder(options);
      const { hashes } = decoder.decode(records, 0, records.length, out, 0, raw.length);
      expect(Buffer.compare(out, raw)).toBe(0);
      return hex(hashes);
    };
    const hashes = decode({ codec, hasher }, pack(kernels.codec));
    expect(decode(kernels, pack(codec))).toBe(hashes);
  });
});
