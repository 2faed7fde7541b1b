import { mkdtemp, readdir, readFile, rm, truncate, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { GatewayFault } from '../../src/gateway/index.js';
import { type RunningGateway, startGateway } from '../../src/gateway.js';
import { createClient, type OrbweaverClient } from '../../src/index.js';
import { generate } from '../support/generators.js';

/**
 * Damage by kind, and the real client: uploading the same file again repairs the store, whether the
 * gateway goes on running or is started anew, and a file edited from it is right as well.
 */

const original = generate({ kind: 'splitmix64', seed: 77, bytes: 1_500_000 });
const edited = new Uint8Array([
  ...original.subarray(0, 700_000),
  ...generate({ kind: 'splitmix64', seed: 78, bytes: 9000 }),
  ...original.subarray(700_000),
]);

let folder = '';
let data = '';
let gateway: RunningGateway;
let client: OrbweaverClient;
let faults: GatewayFault[] = [];

async function start(): Promise<void> {
  gateway = await startGateway({
    data,
    port: 0,
    workers: 0,
    sync: false,
    onFault: (fault) => faults.push(fault),
  });
  // It has no cache: no upload knows of another but by asking the gateway.
  client = await createClient({
    endpoint: gateway.url,
    token: gateway.writeToken,
    workers: 0,
    maxMemory: 16 << 20,
    retry: { retries: 0 },
  } as Parameters<typeof createClient>[0]);
}

async function stop(): Promise<void> {
  await client.close();
  await gateway.close();
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-heal-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true, force: true });
});
beforeEach(async () => {
  faults = [];
  data = await mkdtemp(join(folder, 'store-'));
  await start();
});
afterEach(stop);

async function upload(bytes: Uint8Array): Promise<{ hash: string; newBytes: number }> {
  const { files, failed } = await client.upload(bytes);
  expect(failed).toEqual([]);
  const [file] = files;
  return { hash: file?.fileHash ?? '', newBytes: file?.newBytes ?? -1 };
}

async function download(hash: string): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of client.stream(hash)) pieces.push(piece);
  return Buffer.concat(pieces);
}

async function only(kind: string): Promise<string> {
  const names = await readdir(join(data, kind), { recursive: true, withFileTypes: true });
  const files = names.filter((entry) => entry.isFile());
  expect(files).toHaveLength(1);
  const [file] = files;
  return join(file?.parentPath ?? '', file?.name ?? '');
}

const flip = (at: (length: number) => number) => async (path: string) => {
  const bytes = await readFile(path);
  const position = at(bytes.length);
  bytes[position] = (bytes[position] as number) ^ 1;
  await writeFile(path, bytes);
};

const DAMAGES: readonly [string, string, (path: string) => Promise<void>][] = [
  ['a byte of a payload', 'xorbs', flip(() => 400_000)],
  ['a record header', 'xorbs', flip(() => 4)],
  [
    'all zeros',
    'xorbs',
    async (path) => writeFile(path, Buffer.alloc((await readFile(path)).length)),
  ],
  ['a tail that is gone', 'xorbs', async (path) => truncate(path, 900_000)],
  ['nothing left but the name', 'xorbs', async (path) => truncate(path, 0)],
  ['a byte of the footer', 'xorbs', flip((length) => length - 300)],
  ['the last byte of the footer', 'xorbs', flip((length) => length - 1)],
  ['a deleted xorb', 'xorbs', unlink],
  ['a byte of the file record', 'index', flip(() => 48 + 48 + 3)],
  ['the start of the index table', 'index', flip(() => 0)],
  ['the filter of the index table', 'index', flip((length) => length - 150)],
  ['the end of the index table', 'index', flip((length) => length - 1)],
  ['an empty index table', 'index', async (path) => truncate(path, 0)],
  ['a deleted index table', 'index', unlink],
  ['a byte of the shard', 'shards', flip(() => 48 + 48 + 3)],
  ['the start of the shard', 'shards', flip(() => 1)],
  ['a deleted shard', 'shards', unlink],
];

describe('damage', () => {
  it.each([
    ...DAMAGES.map((damage) => [...damage, 'goes on'] as const),
    // Nothing is remembered then: every third kind will do.
    ...DAMAGES.filter((_, kind) => kind % 3 === 0).map(
      (damage) => [...damage, 'starts anew'] as const,
    ),
  ])('(%s) heals by uploading the file again', async (_kind, folderName, spoil, then) => {
    const { hash } = await upload(original);
    expect((await download(hash)).equals(original)).toBe(true);
    await spoil(await only(folderName));
    if (then === 'starts anew') {
      await stop();
      await start();
    }
    const again = await upload(original);
    expect(again.hash).toBe(hash);
    expect((await download(hash)).equals(original)).toBe(true);
    // And it stays healed: the third time there is nothing to do.
    expect((await upload(original)).newBytes).toBe(0);
  });

  it.each(DAMAGES)('(%s) does not spread to a file edited from it', async (_kind, name, spoil) => {
    const { hash } = await upload(original);
    await spoil(await only(name));
    const copy = await upload(edited);
    expect((await download(copy.hash)).equals(edited)).toBe(true);
    await upload(original);
    expect((await download(hash)).equals(original)).toBe(true);
  });
});

describe('a reader of a damaged store', () => {
  it('is told that the store lacks it, by a status that is final', async () => {
    const { hash } = await upload(original);
    const path = await only('xorbs');
    await truncate(path, 1000);
    const headers = { authorization: `Bearer ${gateway.readToken}` };
    const ask = (): Promise<Response> =>
      fetch(`${gateway.url}/v2/reconstructions/${hash}`, { headers });
    const cut = await ask();
    expect(cut.status).toBe(410);
    expect(await cut.json()).toMatchObject({ code: 'INTEGRITY', error: /uploading/ });
    await unlink(path);
    const gone = await ask();
    expect(gone.status).toBe(410);
    expect(await gone.json()).toMatchObject({ code: 'INTEGRITY', error: /is missing/ });
    expect(faults.map(({ status }) => status)).toEqual([410, 410]);
    await expect(download(hash)).rejects.toMatchObject({
      code: expect.not.stringMatching('NETWORK'),
    });
  });

  it('that asks for a xorb with a damaged footer is told that it is not there', async () => {
    await upload(original);
    const path = await only('xorbs');
    const hash = path.split('/').pop() ?? '';
    const head = async (): Promise<number> =>
      (
        await fetch(`${gateway.url}/v1/xorbs/default/${hash}`, {
          method: 'HEAD',
          headers: { authorization: `Bearer ${gateway.readToken}` },
        })
      ).status;
    expect(await head()).toBe(200);
    await flip((length) => length - 300)(path);
    expect(await head()).toBe(404);
  });
});
