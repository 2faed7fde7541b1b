import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type CorpusName,
  createBlockMaker,
  fewEdits,
  randomInsertions,
  writeChangedRows,
  writeCorpus,
  writeEditedCopy,
  writeRelease,
  writeSmallFiles,
} from '../../src/bench/index.js';

/**
 * Reports of two machines can be held against each other only while these stay: a change of a
 * generator is a change of all figures that were ever measured with it.
 */
const PINNED: Readonly<Record<string, string>> = {
  random: '51db03274ff4a2816f35c10fc5ae972333ad7416ef8e980fe4012ea73af5c6aa',
  text: '5f4ca265907871ee7e5a6293b41a1e51023b02f1330c99551370e38dba7f003c',
  fp32: '27e69e54233d6a52c54e9f6820b95900346c00c7de8b6f92099ec89e678bb17e',
  bf16: 'ab7697d3cc8d3538b4ee49ae1053fcc3b327fee5c062371bb5020ddcd254e134',
  edited: 'dda37a9cc09cb1a502289df598b28feab1fdc6071a4449ed9cf2d159c7c3ac00',
  insertions: '6637a2b35646fdcc27b5b37d5098a6bdfa54d46e48fd173bc1a111996b741a66',
  rows: 'f9682bbb0ae5e8897a39266d39935d3b74191e69fd3400e4f951d4f6ae885efb',
  'release 1': '3e14901ac775615c00a35a8ac80215245b29815675412370533366f5ee3c93f1',
  'release 2': 'a5acb0e54f15783b26fb3ed1eebdd6714b16f4679649e34125c368c2126b8e00',
  small: '7bab0d0d31f7da11b6a14a464f1aa8ac549530e166ced1ccaa9d18766fe4a4fb',
};

const SIZE_BYTES = 2_500_000;

describe('seeded inputs', () => {
  let folder: string;
  const at = (name: string): string => join(folder, name);
  const sha256 = async (...names: readonly string[]): Promise<string> => {
    const hash = createHash('sha256');
    for (const name of names) hash.update(await readFile(name));
    return hash.digest('hex');
  };
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'orbweaver-corpora-'));
    for (const name of ['random', 'text', 'fp32', 'bf16'] as const) {
      await writeCorpus(at(name), { name, seed: 1, sizeBytes: SIZE_BYTES });
    }
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it.each(['random', 'text', 'fp32', 'bf16'])('%s is the same everywhere', async (name) => {
    expect((await stat(at(name))).size).toBe(SIZE_BYTES);
    expect(await sha256(at(name))).toBe(PINNED[name]);
  });

  it.each(['random', 'text', 'fp32', 'bf16'] as const)(
    '%s is another with another seed, and begins the same at any size',
    async (name: Exclude<CorpusName, 'binaries'>) => {
      const block = (seed: number): Uint8Array => {
        const bytes = new Uint8Array(1 << 20);
        createBlockMaker(name, seed)(bytes);
        return bytes;
      };
      const written = (await readFile(at(name))).subarray(0, 1 << 20);
      expect(written.equals(block(1))).toBe(true);
      expect(written.equals(block(2))).toBe(false);
    },
  );

  it('weights are bell-shaped around 0 with deviation 0.02, in both widths', async () => {
    const bytes = new Uint8Array(await readFile(at('fp32')));
    const values = new Float32Array(bytes.buffer, 0, 100_000);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + value * value, 0) / values.length;
    expect(mean).toBeCloseTo(0, 3);
    expect(Math.sqrt(variance)).toBeCloseTo(0.02, 3);
    // bf16 is the upper half of the same values.
    const half = new Uint16Array(new Uint8Array(await readFile(at('bf16'))).buffer, 0, 1000);
    const bits = new Uint32Array(bytes.buffer, 0, 1000);
    expect(Array.from(half)).toEqual(Array.from(bits, (value) => value >>> 16));
  });

  it('edited copies differ where they were edited, and only there', async () => {
    const edits = fewEdits(SIZE_BYTES);
    await writeEditedCopy(at('random'), at('edited'), { edits, seed: 1 });
    expect(await sha256(at('edited'))).toBe(PINNED['edited']);
    const before = await readFile(at('random'));
    const after = await readFile(at('edited'));
    expect(after.length).toBe(SIZE_BYTES + 1000 - 500 + 64);
    const quarter = SIZE_BYTES / 4;
    expect(after.subarray(0, quarter).equals(before.subarray(0, quarter))).toBe(true);
    expect(
      after
        .subarray(quarter + 1000, 2 * quarter + 1000)
        .equals(before.subarray(quarter, 2 * quarter)),
    ).toBe(true);
    expect(after.subarray(-quarter).equals(before.subarray(-quarter))).toBe(true);
  });

  it('inserts at as many places as asked, in ascending order', async () => {
    const options = { sizeBytes: SIZE_BYTES, count: 20, insertBytes: 37, seed: 1 };
    const edits = randomInsertions(options);
    const offsets = edits.map((edit) => edit.offset);
    expect(offsets).toHaveLength(20);
    expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
    await writeEditedCopy(at('fp32'), at('insertions'), { edits, seed: 1 });
    expect((await stat(at('insertions'))).size).toBe(SIZE_BYTES + 20 * 37);
    expect(await sha256(at('insertions'))).toBe(PINNED['insertions']);
  });

  it('changes whole rows, each once', async () => {
    const rowBytes = 4096;
    await writeChangedRows(at('fp32'), at('rows'), { rowBytes, count: 6, delta: 0.001, seed: 1 });
    expect(await sha256(at('rows'))).toBe(PINNED['rows']);
    const before = await readFile(at('fp32'));
    const after = await readFile(at('rows'));
    expect(after.length).toBe(before.length);
    let changed = 0;
    for (let row = 0; row * rowBytes < before.length; row++) {
      const part = (bytes: Buffer): Buffer => bytes.subarray(row * rowBytes, (row + 1) * rowBytes);
      if (!part(before).equals(part(after))) changed++;
    }
    expect(changed).toBe(6);
  });

  it('makes two releases that share most of their members', async () => {
    for (const release of [1, 2] as const) {
      await writeRelease(at(`release ${release}`), { sizeBytes: 3_000_000, seed: 1, release });
      expect(await sha256(at(`release ${release}`)), `${release}`).toBe(
        PINNED[`release ${release}`],
      );
    }
  });

  it('makes small files of 1 to 100 kB', async () => {
    const paths = await writeSmallFiles(at('small'), 20, 1);
    expect(await sha256(...paths)).toBe(PINNED['small']);
    for (const path of paths) {
      const { size } = await stat(path);
      expect(size).toBeGreaterThanOrEqual(1000);
      expect(size).toBeLessThan(100_000);
    }
  });
});
