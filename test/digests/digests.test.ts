import { describe, expect, it } from 'vitest';
import { chunkInput } from '../../src/compose/chunk.js';
import {
  createDigestRunner,
  DIGEST_NAMES,
  type DigestName,
  type Digests,
} from '../../src/digests/index.js';
import { createDigestMaker } from '../../src/workers/digest-maker.js';
import { generate } from '../support/generators.js';
import { chacha20Bytes, patternBytes, targetVectors } from './vectors.js';

const vectors = targetVectors();
const maker = createDigestMaker({ threads: 0 });

async function digestsOf(
  bytes: Uint8Array,
  names: readonly DigestName[],
  pieceBytes = 1 << 20,
): Promise<Digests> {
  const stream = maker.create(names, bytes.length);
  const updates: Promise<void>[] = [];
  for (let at = 0; at < bytes.length; at += pieceBytes) {
    updates.push(stream.update(bytes.subarray(at, at + pieceBytes)));
  }
  const digests = await stream.finish();
  await Promise.all(updates);
  return digests;
}

describe('digests of one pass', () => {
  for (const file of vectors.cid.files) {
    it(`are those of the vectors for ${file.size} bytes of the pattern`, async () => {
      const names: DigestName[] = [
        'md5',
        'md5Ends',
        'sha256',
        'cidRaw',
        'cid256KiB174',
        'cid1MiB1024',
      ];
      expect(await digestsOf(patternBytes(file.size), names)).toEqual({
        md5: file.md5,
        md5Ends: null,
        sha256: file.sha256,
        cidRaw: file.rawCid,
        cid256KiB174: file.cid256KiB174,
        cid1MiB1024: file.cid1MiB1024,
      });
    });
  }

  for (const { content, size, cid, profile } of vectors.cid.kubo) {
    const sought = { 'any CIDv1 raw-leaves': 'cid256KiB174', 'unixfs-v1-2025': 'cid1MiB1024' }[
      profile
    ];
    if (sought === undefined) {
      it.skip(`${cid}: leaves that are no raw blocks are not computed`, () => {});
      continue;
    }
    it(`agree with kubo's own tests: ${cid}`, async () => {
      const bytes = content.startsWith('utf8 ')
        ? new TextEncoder().encode(content.slice(5))
        : chacha20Bytes('chunk-v1-seed', size ?? 0);
      const name = sought as DigestName;
      expect((await digestsOf(bytes, [name]))[name]).toBe(cid);
    });
  }

  for (const { content, size, drive_hash, full_md5 } of vectors.drive.hash.cases) {
    it(`follow the two rules of MD5: ${content}, ${size} bytes`, () => {
      const runner = createDigestRunner(['md5', 'md5Ends'], null);
      const zeros = new Uint8Array(8 << 20);
      const text = new TextEncoder().encode(content.slice('utf8 '.length));
      if (content.startsWith('utf8 ')) runner.update(text);
      else
        for (let left = size; left > 0; left -= zeros.length)
          runner.update(zeros.subarray(0, left));
      const { md5, md5Ends } = runner.finish().digests;
      const hex = (bytes: Uint8Array | null | undefined): string | null =>
        bytes == null ? null : Buffer.from(bytes).toString('hex');
      expect(hex(md5Ends) ?? hex(md5)).toBe(drive_hash);
      if (full_md5 !== undefined) expect(hex(md5)).toBe(full_md5);
      expect(md5Ends === null).toBe(size <= 1024 ** 3);
    });
  }

  it('are the same whole, byte by byte and in pieces of any size', async () => {
    const bytes = generate({ kind: 'splitmix64', seed: 9, bytes: 300_001 });
    const whole = await digestsOf(bytes, DIGEST_NAMES, bytes.length);
    for (const pieceBytes of [1, 977, 65_536, 262_144]) {
      const short = pieceBytes === 1 ? bytes.subarray(0, 3000) : bytes;
      const expected = pieceBytes === 1 ? await digestsOf(short, DIGEST_NAMES, 3000) : whole;
      expect(await digestsOf(short, DIGEST_NAMES, pieceBytes), `${pieceBytes}`).toEqual(expected);
    }
    expect(whole.fileHash).toBe((await chunkInput(bytes)).fileHash);
  });

  it('know the names that exist', () => {
    expect(() => maker.create(['md4' as DigestName])).toThrow(RangeError);
  });
});
