import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createDiskPace, pathSource } from '../../src/io/index.js';

/** A pace whose calls take as long as `takes` says. */
function paceWith(takes: () => number) {
  let nowMs = 0;
  const pace = createDiskPace(() => nowMs);
  const call = (): number => pace.measure(() => (nowMs += takes()));
  return { pace, call };
}

describe('the pace of a disk', () => {
  it('is quick until calls turn out to be slow, and tries again later', () => {
    const { pace, call } = paceWith(() => 5);
    expect(pace.quick).toBe(true);
    for (let i = 0; i < 8; i++) call();
    expect(pace.quick).toBe(false);
    let looks = 0;
    while (!pace.quick) looks++;
    expect(looks).toBeGreaterThan(500);
    call();
    expect(pace.quick).toBe(false);
  });

  it('forgives a slow call now and then', () => {
    let calls = 0;
    const { pace, call } = paceWith(() => (calls++ % 10 === 0 ? 50 : 0.01));
    for (let i = 0; i < 500; i++) {
      call();
      expect(pace.quick).toBe(true);
    }
  });

  it('notes calls that throw', () => {
    let nowMs = 0;
    const pace = createDiskPace(() => nowMs);
    for (let i = 0; i < 8; i++) {
      expect(() =>
        pace.measure(() => {
          nowMs += 5;
          throw new Error('gone');
        }),
      ).toThrow('gone');
    }
    expect(pace.quick).toBe(false);
  });

  it('changes nothing about what is read, quick or not', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'orbweaver-pace-'));
    try {
      const path = join(folder, 'small');
      const data = Uint8Array.from({ length: 5000 }, (_, i) => i * 7);
      await writeFile(path, data);
      const slow = paceWith(() => 5);
      for (let i = 0; i < 8; i++) slow.call();
      for (const pace of [createDiskPace(), slow.pace]) {
        const source = await pathSource(path, path, pace);
        expect(source.sizeBytes).toBe(5000);
        const reader = await source.open();
        const into = new Uint8Array(3000);
        expect(await reader.read(into)).toBe(3000);
        expect(into).toEqual(data.subarray(0, 3000));
        expect(await reader.read(into)).toBe(2000);
        expect(into.subarray(0, 2000)).toEqual(data.subarray(3000));
        expect(await reader.read(into)).toBe(0);
        await reader.close();
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('a small file that changes after it was looked up is noticed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'orbweaver-pace-'));
    try {
      const path = join(folder, 'small');
      await writeFile(path, new Uint8Array(100));
      const shorter = await pathSource(path, path, createDiskPace());
      const longer = await pathSource(path, path, createDiskPace());
      const read = async (source: typeof shorter): Promise<void> => {
        const reader = await source.open();
        try {
          while ((await reader.read(new Uint8Array(64))) > 0);
        } finally {
          await reader.close();
        }
      };
      await writeFile(path, new Uint8Array(150));
      await expect(read(longer)).rejects.toMatchObject({ code: 'INPUT_CHANGED' });
      await writeFile(path, new Uint8Array(50));
      await expect(read(shorter)).rejects.toMatchObject({ code: 'INPUT_CHANGED' });
      await rm(path);
      await expect(read(shorter)).rejects.toMatchObject({ code: 'INPUT_NOT_FOUND' });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
