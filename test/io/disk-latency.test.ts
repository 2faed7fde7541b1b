import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createDiskLatency, pathSource, sourceNow } from '../../src/io/index.js';

const PATH = '/folder/file';

/** A latency whose calls take as long as `takes` says, and that knows the folder of `path`. */
async function paceWith(takes: () => number, path = PATH) {
  let nowMs = 0;
  const latency = createDiskLatency(() => nowMs);
  await latency.learn(path, async () => {});
  const call = (): number => latency.measure(() => (nowMs += takes()));
  return { latency, call };
}

describe('the latency of a disk', () => {
  it('is quick until calls turn out to be slow, and tries again later', async () => {
    const { latency, call } = await paceWith(() => 5);
    expect(latency.isQuick(PATH)).toBe(true);
    for (let i = 0; i < 8; i++) call();
    expect(latency.isQuick(PATH)).toBe(false);
    let looks = 0;
    while (!latency.isQuick(PATH)) looks++;
    expect(looks).toBeGreaterThan(500);
    call();
    expect(latency.isQuick(PATH)).toBe(false);
  });

  it('forgives a slow call now and then', async () => {
    let calls = 0;
    const { latency, call } = await paceWith(() => (calls++ % 10 === 0 ? 50 : 0.01));
    for (let i = 0; i < 500; i++) {
      call();
      expect(latency.isQuick(PATH)).toBe(true);
    }
  });

  it('notes calls that throw', async () => {
    let nowMs = 0;
    const latency = createDiskLatency(() => nowMs);
    await latency.learn(PATH, async () => {});
    for (let i = 0; i < 8; i++) {
      expect(() =>
        latency.measure(() => {
          nowMs += 5;
          throw new Error('gone');
        }),
      ).toThrow('gone');
    }
    expect(latency.isQuick(PATH)).toBe(false);
  });
});

describe('a folder', () => {
  it('is not quick before an asynchronous call has come back from it, and in time', async () => {
    let nowMs = 0;
    const latency = createDiskLatency(() => nowMs);
    expect(latency.isQuick(PATH)).toBe(false);
    await latency.learn(PATH, async () => {
      nowMs += 1000;
    });
    expect(latency.isQuick(PATH)).toBe(false);
    await latency.learn(PATH, async () => {});
    expect(latency.isQuick(PATH)).toBe(true);
    expect(latency.isQuick('/folder/other')).toBe(true);
    expect(latency.isQuick('/folder/deeper/file')).toBe(false);
  });
});

describe('a small file', () => {
  it('is read at once while the disk is quick, and opened otherwise', async () => {
    await inFolder(async (path) => {
      const data = Uint8Array.from({ length: 5000 }, (_, i) => i * 7);
      await writeFile(path, data);
      const quick = await pathSource(path, { latency: createDiskLatency() });
      const into = new Uint8Array(6000);
      expect(quick.readNow?.(into)).toBe(true);
      expect(into.subarray(0, 5000)).toEqual(data);
      const slow = await paceWith(() => 5, path);
      for (let i = 0; i < 8; i++) slow.call();
      const source = await pathSource(path, { latency: slow.latency });
      expect(source.readNow?.(into)).toBe(false);
      expect(source).toMatchObject({ sizeBytes: 5000, reopenable: true });
      const reader = await source.open();
      expect(await reader.read(into.subarray(0, 3000))).toBe(3000);
      expect(await reader.read(into.subarray(3000))).toBe(2000);
      expect(into.subarray(0, 5000)).toEqual(data);
      await reader.close();
    });
  });

  it('is looked up at once while the disk is quick, and only then', async () => {
    await inFolder(async (path) => {
      await writeFile(path, new Uint8Array(100));
      const latency = createDiskLatency();
      expect(sourceNow(path, { latency })).toBeNull();
      await pathSource(path, { latency });
      expect(sourceNow(path, { latency })).toMatchObject({ name: path, sizeBytes: 100 });
      expect(sourceNow(path, { latency, name: 'x' })).toMatchObject({ name: 'x', sizeBytes: 100 });
      expect(() => sourceNow(`${path}.gone`, { latency })).toThrow(
        expect.objectContaining({ code: 'INPUT_NOT_FOUND' }),
      );
      expect(sourceNow(path, {})).toBeNull();
      const slow = await paceWith(() => 5, path);
      for (let i = 0; i < 8; i++) slow.call();
      expect(sourceNow(path, { latency: slow.latency })).toBeNull();
      expect(sourceNow(new Uint8Array(3), { latency: slow.latency })).toMatchObject({
        sizeBytes: 3,
      });
    });
  });

  it('that changes after it was looked up is noticed', async () => {
    await inFolder(async (path) => {
      await writeFile(path, new Uint8Array(100));
      const source = await pathSource(path, { latency: createDiskLatency() });
      const into = new Uint8Array(101);
      const reopened = async (): Promise<void> => {
        const reader = await source.open();
        try {
          while ((await reader.read(new Uint8Array(64))) > 0);
        } finally {
          await reader.close();
        }
      };
      for (const size of [150, 50, 0]) {
        await writeFile(path, new Uint8Array(size));
        expect(() => source.readNow?.(into)).toThrow(errorWith('INPUT_CHANGED'));
        await expect(reopened()).rejects.toMatchObject({ code: 'INPUT_CHANGED' });
      }
      await rm(path);
      expect(() => source.readNow?.(into)).toThrow(errorWith('INPUT_NOT_FOUND'));
      await expect(reopened()).rejects.toMatchObject({ code: 'INPUT_NOT_FOUND' });
    });
  });

  it('is one of up to 256 KiB, of a program that watches the latency', async () => {
    await inFolder(async (path) => {
      await writeFile(path, new Uint8Array(262_144));
      expect((await pathSource(path, { latency: createDiskLatency() })).readNow).toBeDefined();
      expect((await pathSource(path)).readNow).toBeUndefined();
      await writeFile(path, new Uint8Array(262_145));
      expect((await pathSource(path, { latency: createDiskLatency() })).readNow).toBeUndefined();
    });
  });
});

/** Something thrown that has this code. */
function errorWith(code: string): Error {
  return expect.objectContaining({ code }) as Error;
}

async function inFolder(work: (path: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'orbweaver-latency-'));
  try {
    await work(join(folder, 'small'));
  } finally {
    await rm(folder, { recursive: true });
  }
}
