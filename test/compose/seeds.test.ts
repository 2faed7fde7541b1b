import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as client from 'orbweaver';
import * as gateway from 'orbweaver/gateway';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generate } from '../support/generators.js';

/** Downloads that take chunks from local files, through the package, a gateway and real threads. */

const SIZE_BYTES = 40_000_000;

let folder: string;
let running: gateway.RunningGateway;
let ours: client.OrbweaverClient;
let old: Uint8Array;
let changed: Uint8Array;
let oldHash: string;
let changedHash: string;
/** What the store did not have of the changed file. */
let newBytes: number;
const at = (name: string): string => join(folder, name);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-seeds-'));
  running = await gateway.startGateway({ data: at('store'), port: 0, workers: 0 });
  ours = await client.createClient({
    endpoint: running.url,
    token: running.writeToken,
    workers: 1,
    maxMemory: 16 << 20,
  });
  old = generate({ kind: 'splitmix64', seed: 1, bytes: SIZE_BYTES });
  // One per cent is other, and a byte is inserted: everything behind it has moved.
  changed = new Uint8Array(SIZE_BYTES + 1);
  changed.set(old.subarray(0, 11_000_000));
  changed.set(generate({ kind: 'splitmix64', seed: 6, bytes: 400_001 }), 11_000_000);
  changed.set(old.subarray(11_400_000), 11_400_001);
  await writeFile(at('old'), old);
  oldHash = await store(old);
  const { files } = await ours.upload(changed);
  changedHash = files[0]?.fileHash as string;
  newBytes = files[0]?.newBytes as number;
}, 120_000);

afterAll(async () => {
  await ours?.close();
  await running?.close();
  await rm(folder, { recursive: true, force: true });
});

async function store(bytes: Uint8Array): Promise<string> {
  const { files } = await ours.upload(bytes);
  return files[0]?.fileHash as string;
}

async function expectBytes(name: string, bytes: Uint8Array): Promise<void> {
  expect(Buffer.compare(await readFile(at(name)), bytes)).toBe(0);
  expect((await readdir(folder)).filter((each) => each.startsWith('.'))).toEqual([]);
}

describe('seeds', () => {
  it('give what a new version has of an old one that is stored, too', async () => {
    const result = await ours.download(changedHash, { to: at('new'), seeds: [at('old')] });
    await expectBytes('new', changed);
    expect(result).toMatchObject({ verified: true, seedNote: null, sizeBytes: changed.length });
    expect(newBytes).toBeLessThan(0.03 * SIZE_BYTES);
    expect(result.fetchedBytes).toBeLessThan(1.01 * newBytes);
    expect(result.seededBytes + newBytes).toBe(changed.length);
  });

  it('are found by single chunks when they are not stored', async () => {
    const local = old.slice();
    local.set(generate({ kind: 'splitmix64', seed: 3, bytes: 200_000 }), 30_000_000);
    local.set(generate({ kind: 'splitmix64', seed: 4, bytes: 100_000 }), 20_000_000);
    await writeFile(at('local'), local);
    const result = await ours.download(oldHash, { to: at('again'), seeds: [at('local')] });
    await expectBytes('again', old);
    expect(result.seedNote).toBeNull();
    expect(result.fetchedBytes).toBeLessThan(0.015 * SIZE_BYTES);
  });

  it('are the old copy of the target by itself, which stays until the new one is there', async () => {
    await writeFile(at('target'), old);
    const result = await ours.download(changedHash, { to: at('target') });
    await expectBytes('target', changed);
    expect(result.fetchedBytes).toBeLessThan(1.01 * newBytes);
    const same = await ours.download(changedHash, { to: at('target') });
    expect(same).toMatchObject({ fetchedBytes: 0, seededBytes: changed.length, verified: true });
    const anew = await ours.download(changedHash, { to: at('target'), resume: false });
    expect(anew).toMatchObject({ seededBytes: 0 });
    await expectBytes('target', changed);
  });

  it('bring nothing when they are of something else, and the result says so', async () => {
    await writeFile(at('other'), generate({ kind: 'splitmix64', seed: 5, bytes: 5_000_000 }));
    const result = await ours.download(oldHash, { to: at('plain'), seeds: [at('other')] });
    await expectBytes('plain', old);
    expect(result).toMatchObject({ seededBytes: 0, seedNote: expect.stringMatching(/chunk/) });
    const stream = ours.download(oldHash, { to: at('plain'), seeds: [at('other')], length: 10 });
    await expect(stream).rejects.toMatchObject({ code: 'USAGE' });
    const missing = ours.download(oldHash, { to: at('plain'), seeds: [at('missing')] });
    await expect(missing).rejects.toMatchObject({ code: 'INPUT_NOT_FOUND' });
  });

  it('have zeros as holes, and parts of files that are shorter', async () => {
    const zeros = new Uint8Array(12_000_000);
    zeros.set(old.subarray(0, 3_000_000));
    const hash = await store(zeros);
    await writeFile(at('zeros-old'), zeros);
    await truncate(at('zeros-old'), 11_000_000);
    const result = await ours.download(hash, { to: at('zeros'), seeds: [at('zeros-old')] });
    await expectBytes('zeros', zeros);
    expect(result.seededBytes).toBeGreaterThan(10_000_000);
  });
});
