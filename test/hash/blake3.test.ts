import fc from 'fast-check';
import { createBLAKE3 } from 'hash-wasm';
import { describe, expect, it } from 'vitest';
import { hexEncode } from '../../src/bytes/index.js';
import { createReadableBlake3 } from '../../src/hash/index.js';
import { generate } from '../support/generators.js';
import { readJsonFixture } from '../support/vectors.js';

const hasher = createReadableBlake3();

function keyed(key: Uint8Array, data: Uint8Array): string {
  const out = new Uint8Array(32);
  hasher.keyed(key, data, out, 0);
  return hexEncode(out);
}

describe('readable BLAKE3', () => {
  const official = readJsonFixture<{ key: string; cases: { bytes: number; keyedHash: string }[] }>(
    'blake3-keyed.json',
  );
  const elvish = Uint8Array.from(official.key, (letter) => letter.charCodeAt(0));

  it.each(official.cases)('gives the official keyed hash of $bytes bytes', (vector) => {
    const input = Uint8Array.from({ length: vector.bytes }, (_, i) => i % 251);
    expect(keyed(elvish, input)).toBe(vector.keyedHash);
  });

  it('equals hash-wasm at every boundary of blocks, leaves and subtrees, and one beside it', async () => {
    const key = generate({ kind: 'splitmix64', seed: 77, bytes: 32 });
    const oracle = await createBLAKE3(256, key);
    const data = generate({ kind: 'splitmix64', seed: 78, bytes: 262_145 });
    const lengths = new Set<number>();
    for (const edge of [
      0, 64, 128, 960, 1024, 2048, 3072, 4096, 5120, 8192, 16384, 65536, 262144,
    ]) {
      for (const length of [edge - 1, edge, edge + 1]) if (length >= 0) lengths.add(length);
    }
    for (const length of lengths) {
      const input = data.subarray(0, length);
      expect(keyed(key, input), `${length} bytes`).toBe(oracle.init().update(input).digest('hex'));
    }
  });

  it('equals hash-wasm on data of every kind and any length', async () => {
    const oracle = await createBLAKE3(256, new Uint8Array(32));
    const kind = fc.constantFrom('splitmix64', 'words', 'floats', 'constant' as const);
    fc.assert(
      fc.property(kind, fc.nat(20_000), fc.nat(), (kind, bytes, seed) => {
        const data = generate(
          kind === 'constant' ? { kind, value: seed & 255, bytes } : { kind, seed, bytes },
        );
        expect(keyed(new Uint8Array(32), data)).toBe(oracle.init().update(data).digest('hex'));
      }),
      { seed: 1, numRuns: 60 },
    );
  });

  it('hashes many neighbours as it hashes each alone, from views at odd offsets', () => {
    const key = generate({ kind: 'splitmix64', seed: 5, bytes: 33 }).subarray(1);
    const backing = generate({ kind: 'splitmix64', seed: 6, bytes: 10_003 });
    const data = backing.subarray(3);
    const ends = Uint32Array.of(7, 7, 1031, 5000, 9999);
    const out = new Uint8Array(5 * 32 + 5);
    hasher.keyedMany(key, data, 5, ends, 5, out, 5);
    let start = 5;
    ends.forEach((end, i) => {
      expect(hexEncode(out.subarray(5 + 32 * i, 37 + 32 * i))).toBe(
        keyed(key, data.subarray(start, end)),
      );
      start = end;
    });
    expect([...out.subarray(0, 5)]).toEqual([0, 0, 0, 0, 0]);
  });

  it('reads shared memory', () => {
    const shared = new Uint8Array(new SharedArrayBuffer(3000));
    const data = generate({ kind: 'words', seed: 9, bytes: 3000 });
    shared.set(data);
    expect(keyed(elvish, shared)).toBe(keyed(elvish, data));
  });

  it('refuses a key that is not 32 bytes long', () => {
    expect(() => keyed(new Uint8Array(31), new Uint8Array(1))).toThrow(RangeError);
  });
});
