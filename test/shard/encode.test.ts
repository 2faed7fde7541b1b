import { describe, expect, it } from 'vitest';
import { hexDecode } from '../../src/bytes/index.js';
import { MerkleHash } from '../../src/hash/index.js';
import {
  CHUNK_FLAG_GLOBAL_DEDUP,
  decodeShard,
  encodeShard,
  keyShard,
  SHARD_MAX_BYTES,
  shardKey,
} from '../../src/shard/index.js';
import { vectorOf } from '../support/vectors.js';
import { hasher, randomHashes, sampleFile, sampleShard, sampleXorb } from './samples.js';

describe('writing a shard', () => {
  it('gives equal bytes for equal content, whatever the order and the duplicates', () => {
    const { files, xorbs } = sampleShard();
    const shuffled = {
      files: [...files, ...files].reverse(),
      xorbs: [...xorbs, ...xorbs].reverse(),
      footer: null,
    };
    for (const variant of ['upload', 'stored', 'local'] as const) {
      const bytes = encodeShard(shuffled, { variant });
      expect(bytes).toEqual(encodeShard({ files, xorbs, footer: null }, { variant }));
    }
  });

  it('orders by the hash text, not by the raw bytes', () => {
    const early = new Uint8Array(32).fill(9);
    const late = new Uint8Array(32).fill(1);
    early[7] = 0; // first digits of the text
    late[7] = 200;
    const xorbs = [late, early].map((hash) => ({
      ...sampleXorb(1, 3),
      hash: MerkleHash.from(hash),
    }));
    const back = decodeShard(encodeShard({ files: [], xorbs, footer: null }, { variant: 'local' }));
    expect(back.xorbs.map((xorb) => xorb.hash.bytes[7])).toEqual([0, 200]);
  });

  it('marks the first chunk of each file in the stored form and keeps marks', () => {
    const xorb = sampleXorb(4, 5);
    xorb.chunkFlags[3] = CHUNK_FLAG_GLOBAL_DEDUP;
    const elsewhere = sampleXorb(4, 50);
    const files = [
      sampleFile(MerkleHash.from(randomHashes(1, 6)), [[xorb, 1, 4]]),
      sampleFile(MerkleHash.from(randomHashes(1, 7)), [
        [elsewhere, 0, 1],
        [xorb, 2, 3],
      ]),
    ];
    const flagsAs = (variant: 'upload' | 'stored' | 'local') =>
      Array.from(
        decodeShard(encodeShard({ files, xorbs: [xorb], footer: null }, { variant })).xorbs[0]
          ?.chunkFlags ?? [],
        (flag) => flag !== 0,
      );
    expect(flagsAs('stored')).toEqual([false, true, false, true]);
    expect(flagsAs('local')).toEqual([false, false, false, true]);
    expect(flagsAs('upload')).toEqual([false, false, false, false]);
  });

  it('makes offsets and sums from the lengths', () => {
    const xorb = { ...sampleXorb(3, 8), rawBytes: 1, chunkStarts: new Uint32Array(3) };
    const bytes = encodeShard({ files: [], xorbs: [xorb], footer: null }, { variant: 'stored' });
    const [back] = decodeShard(bytes).xorbs;
    const [a = 0, b = 0, c = 0] = xorb.chunkLengths;
    expect(back?.rawBytes).toBe(a + b + c);
    expect(Array.from(back?.chunkStarts ?? [])).toEqual([0, a, a + b]);
  });

  it('counts sizes in the footer', () => {
    const shard = sampleShard();
    const { footer } = decodeShard(encodeShard(shard, { variant: 'stored' }));
    const raw = shard.xorbs.reduce((sum, xorb) => sum + xorb.rawBytes, 0);
    expect(footer?.storedBytes).toBe(BigInt(raw));
    expect(footer?.storedBytesOnDisk).toBe(2n * 4711n);
    expect(footer?.createdAt).toBe(0n);
    expect(footer?.expiresAt).toBe(0n);
  });

  it('lists files, xorbs and chunks of a local shard in tables that ascend and lead to them', () => {
    const shard = sampleShard();
    const bytes = encodeShard(shard, { variant: 'local' });
    const { footer } = decodeShard(bytes);
    if (footer === null) throw new Error('no footer');
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const hashAt = (record: number): bigint => view.getBigUint64(record, true);
    const { fileSectionOffset: files, xorbSectionOffset: xorbs } = footer;
    const record = (section: number, at: number): number => section + 48 * view.getUint32(at, true);
    const check = (offset: number, count: number, width: number, lead: (at: number) => number) => {
      let last = -1n;
      for (let at = offset; at < offset + count * width; at += width) {
        expect(hashAt(at)).toBeGreaterThanOrEqual(last);
        last = hashAt(at);
        expect(hashAt(lead(at))).toBe(last);
      }
    };
    check(footer.fileLookupOffset, footer.fileLookupCount, 12, (at) => record(files, at + 8));
    check(footer.xorbLookupOffset, footer.xorbLookupCount, 12, (at) => record(xorbs, at + 8));
    check(footer.chunkLookupOffset, footer.chunkLookupCount, 16, (at) => {
      return record(xorbs, at + 8) + 48 * (1 + view.getUint32(at + 12, true));
    });
    expect(footer.fileLookupCount).toBe(shard.files.length);
    expect(footer.xorbLookupCount).toBe(shard.xorbs.length);
    const chunkCounts = shard.xorbs.map(({ chunkLengths }) => chunkLengths.length);
    expect(footer.chunkLookupCount).toBe(chunkCounts.reduce((sum, count) => sum + count, 0));
  });

  it('refuses what does not fit the variant', () => {
    const shard = sampleShard();
    const files = shard.files.map((file) => ({ ...file, verification: null }));
    expect(() => encodeShard({ ...shard, files }, { variant: 'upload' })).toThrow(TypeError);
    const mixed = [...shard.files.slice(0, 1), ...files.slice(1)];
    expect(() => encodeShard({ ...shard, files: mixed }, { variant: 'stored' })).toThrow(TypeError);
    expect(() => encodeShard(shard, { variant: 'keyed' })).toThrow(TypeError);
    expect(() => encodeShard(shard, { variant: 'keyed', createdAt: 1, expiresAt: 2 })).toThrow(
      TypeError,
    );
    const [file] = shard.files;
    if (file === undefined) throw new Error('sample');
    const short = { ...file, verification: [MerkleHash.ZERO] };
    expect(() => encodeShard({ ...shard, files: [short] }, { variant: 'upload' })).toThrow(
      RangeError,
    );
  });

  it('refuses to write more than a server takes', () => {
    const { terms, ...file } = sampleFile(MerkleHash.ZERO, [[sampleXorb(1, 1), 0, 1]]);
    const many = Array.from({ length: SHARD_MAX_BYTES / 48 }, () => terms[0] as (typeof terms)[0]);
    const shard = {
      files: [{ ...file, terms: many, verification: null }],
      xorbs: [],
      footer: null,
    };
    expect(() => encodeShard(shard, { variant: 'stored' })).toThrow(
      expect.objectContaining({ code: 'LIMIT_EXCEEDED' }),
    );
  });
});

describe('keyed shards', () => {
  // The sample's key is noted as a hash text, not as plain bytes.
  const key = MerkleHash.parse(
    'd6834b04843aaf16f29903e2428a99be635099f9ea5056cc4e95e7ec8a41509f',
  ).bytes;
  const times = { createdAt: 1754059905, expiresAt: 1754664705 };

  it('replace each chunk hash as the sample of a real server does', () => {
    const { chunk_hash, keyed } = vectorOf('shard', 'server_dedup_sample').expected.hmac_of_chunk;
    const xorb = { ...sampleXorb(1, 3), chunkHashes: MerkleHash.parse(chunk_hash).bytes };
    const shard = keyShard(hasher, { files: [], xorbs: [xorb], footer: null }, key);
    expect(MerkleHash.from(shard.xorbs[0]?.chunkHashes ?? new Uint8Array()).toString()).toBe(keyed);
  });

  it('hold no files, lookup offsets at the footer, the key and both times', () => {
    const plain = sampleShard();
    const bytes = encodeShard(plain, { variant: 'keyed', hasher, hmacKey: key, ...times });
    const answer = decodeShard(bytes);
    expect(answer.files).toEqual([]);
    expect(answer.xorbs.map((xorb) => xorb.hash.toString())).toEqual(
      plain.xorbs.map((xorb) => xorb.hash.toString()),
    );
    const { footer } = answer;
    expect(footer?.hmacKey).toEqual(key);
    expect([footer?.createdAt, footer?.expiresAt]).toEqual([1754059905n, 1754664705n]);
    expect(footer?.fileSectionOffset).toBe(48);
    expect(footer?.xorbSectionOffset).toBe(96);
    const end = bytes.length - 200;
    expect(footer).toMatchObject({
      fileLookupOffset: end,
      xorbLookupOffset: end,
      chunkLookupOffset: end,
      footerOffset: end,
      chunkLookupCount: 0,
    });
    // Written again, it stays: keyed hashes are not keyed twice.
    expect(encodeShard(answer, { variant: 'keyed', ...times })).toEqual(bytes);
    expect(encodeShard(keyShard(hasher, plain, key), { variant: 'keyed', ...times })).toEqual(
      bytes,
    );
  });

  it('leave hashes as they are under the zero key', () => {
    const plain = sampleShard();
    const zero = new Uint8Array(32);
    const bytes = encodeShard(plain, { variant: 'keyed', hmacKey: zero, ...times });
    expect(decodeShard(bytes).xorbs[0]?.chunkHashes).toEqual(plain.xorbs[0]?.chunkHashes);
  });

  it('cannot be keyed again, uploaded or stored', () => {
    const keyed = keyShard(hasher, sampleShard(), key);
    expect(() => keyShard(hasher, keyed, key)).toThrow(TypeError);
    expect(() => keyShard(hasher, sampleShard(), key.subarray(1))).toThrow(RangeError);
    for (const variant of ['upload', 'stored'] as const) {
      expect(() => encodeShard(keyed, { variant })).toThrow(TypeError);
    }
    const other = { variant: 'keyed', hmacKey: new Uint8Array(32).fill(1), ...times } as const;
    expect(() => encodeShard(keyed, other)).toThrow(TypeError);
  });
});

describe('the name of a shard', () => {
  it('is the data-key hash of its bytes', () => {
    const { input, expected } = vectorOf('chunk_hash', 'hello_world');
    expect(shardKey(hasher, hexDecode(input.hex)).toString()).toBe(expected.data_key_hash);
  });
});
