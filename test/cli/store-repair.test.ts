import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDiskStore, createNodeServer, type ObjectStore } from '../../src/gateway/index.js';
import {
  buildXorb,
  createRig,
  fileOf,
  publish,
  randomChunks,
  WRITE_TOKEN,
} from '../gateway/support/rig.js';
import { inProcess } from './in-process.js';

let folder: string;
let damagedStore: ObjectStore;
let url: string;
const closers: (() => Promise<void>)[] = [];
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-repair-'));
  damagedStore = await createDiskStore(join(folder, 'data'), { sync: false });
  const other = createRig();
  const server = await createNodeServer(other.gateway, { port: 0 });
  url = server.url;
  closers.push(
    () => server.close(),
    () => rm(folder, { recursive: true, force: true }),
  );
  // The same files in both, whose chunks lie in other xorbs there.
  const chunks = randomChunks(5, [3000, 200, 1000, 400, 500, 600]);
  const [first, second] = [buildXorb(chunks.slice(0, 3)), buildXorb(chunks.slice(3))];
  const rig = createRig({ store: damagedStore });
  for (const [start, end] of [
    [0, 2],
    [1, 3],
  ] as const) {
    const file = fileOf([
      [first, start, end],
      [second, 0, 3],
    ]);
    await publish(rig, [first, second], [file]);
    const all = buildXorb([...chunks.slice(start, end), ...chunks.slice(3)]);
    await publish(other, [all], [fileOf([[all, 0, all.rawEnds.length]])]);
  }
});
afterAll(async () => {
  for (const close of closers) await close();
});

const env = { ORBWEAVER_UPSTREAM_TOKEN: WRITE_TOKEN };
const scrub = (...args: string[]) =>
  inProcess(['store', 'scrub', 'data', '--json', ...args], { cwd: folder, env });

async function xorbKeys(): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of damagedStore.list('xorbs/')) keys.push(key);
  return keys.sort();
}

async function flip(key: string, at: number): Promise<void> {
  const bytes = (await damagedStore.read(key)) as Uint8Array;
  const index = at < 0 ? bytes.length + at : at;
  bytes[index] = (bytes[index] as number) ^ 1;
  await damagedStore.put(key, bytes, { replace: true });
}

describe('orbweaver store scrub --repair', () => {
  it('makes xorbs again that are damaged anywhere, or gone, from the files of another store', async () => {
    const keys = await xorbKeys();
    const [one, two] = keys as [string, string];
    await flip(one, 20);
    await flip(two, -60);
    expect((await scrub()).status).toBe(6);
    const repaired = await scrub('--repair', url);
    expect(repaired.json()).toMatchObject({ damaged: [], repaired: keys });
    expect(repaired.status).toBe(0);
    await damagedStore.delete(two);
    expect((await scrub('--repair', url)).json()).toMatchObject({ damaged: [], repaired: [two] });
    expect((await scrub()).json()).toMatchObject({ damaged: [], repaired: [] });
    expect(await xorbKeys()).toEqual(keys);
  });

  it('says when the other store refuses, and takes the token from a file', async () => {
    const [one] = (await xorbKeys()) as [string];
    await flip(one, 20);
    await writeFile(join(folder, 'wrong'), 'wrong\n');
    const refused = await scrub('--repair', url, '--repair-token-file', 'wrong');
    expect(refused.errorJson()).toMatchObject({ code: 'AUTH_REQUIRED' });
    await writeFile(join(folder, 'right'), `${WRITE_TOKEN}\n`);
    const done = await scrub('--repair', url, '--repair-token-file', 'right');
    expect(done.json()).toMatchObject({ damaged: [], repaired: [one] });
    expect((await scrub('--repair', 'ftp://x')).status).toBe(2);
    expect((await scrub('--repair-token-file', 'right')).status).toBe(2);
  });
});
