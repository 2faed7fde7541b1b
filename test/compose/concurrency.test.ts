import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as client from 'orbweaver';
import * as gateway from 'orbweaver/gateway';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Body, Exchange } from '../../src/http/index.js';
import { generate } from '../support/generators.js';

/** A fixed number of requests at a time holds whatever a client does. */

const MIB = 1024 * 1024;
const FILES = 3;

let top: string;
let gate: gateway.Gateway;
let manifestHash: string;
let fileHashes: readonly string[];
/** Reads of xorbs under way, and the most of them so far. */
let reading = 0;
let most = 0;

/** The gateway's, with reads of xorbs counted from the request to the last byte. */
const counted: Exchange = async (request) => {
  const isRead = request.method === 'GET' && request.headers['range'] !== undefined;
  if (!isRead || request.url.pathname.includes('reconstructions')) return gate.exchange(request);
  reading++;
  most = Math.max(most, reading);
  const response = await gate.exchange(request);
  let isOver = false;
  const over = (): void => {
    if (!isOver) reading--;
    isOver = true;
  };
  const { body } = response;
  if (body === null) over();
  let leftBytes = Number(response.headers['content-length'] ?? Number.POSITIVE_INFINITY);
  const wrapped: Body | null = body && {
    ...(body.sizeBytes !== undefined && { sizeBytes: body.sizeBytes }),
    async fill(into) {
      const count = await body.fill(into);
      leftBytes -= count;
      if (count === 0 || leftBytes <= 0) over();
      return count;
    },
    cancel(reason) {
      over();
      body.cancel(reason);
    },
  };
  return { ...response, body: wrapped };
};

function open(concurrency: number): Promise<client.OrbweaverClient> {
  most = 0;
  return client.createClient({
    ...{ endpoint: 'http://gateway.test', token: 'secret', workers: 0, maxMemory: 16 << 20 },
    ...{ exchange: counted, concurrency },
  });
}

beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), 'orbweaver-concurrency-'));
  const { hasher, codec } = await client.loadKernels();
  gate = gateway.createGateway({
    ...{ store: gateway.createMemoryStore(), hasher, codec },
    tokens: [{ token: 'secret', scope: 'write' }],
  });
  const source = join(top, 'source');
  await mkdir(source);
  const paths = Array.from({ length: FILES }, (_, i) => join(source, `f${i}`));
  for (const [i, path] of paths.entries()) {
    await writeFile(path, generate({ kind: 'splitmix64', seed: i, bytes: 3 * MIB }));
  }
  const up = await open(1);
  const { files } = await up.upload(paths, { maxXorbBytes: MIB });
  fileHashes = files.map(({ fileHash }) => fileHash);
  ({ manifestHash } = await up.uploadFolder(source));
  await up.close();
});
afterAll(async () => {
  await gate?.close();
  await rm(top, { recursive: true, force: true });
});

const ways: readonly [string, (ours: client.OrbweaverClient) => Promise<unknown>][] = [
  ['a download', (ours) => ours.download(fileHashes[0] as string, { to: join(top, 'copy') })],
  ['a folder', (ours) => ours.downloadFolder(manifestHash, { to: join(top, 'folder') })],
  [
    'a ZIP',
    (ours) =>
      ours.downloadZip(
        fileHashes.map((hash, i) => ({ hash, name: `f${i}` })),
        { to: join(top, 'files.zip') },
      ),
  ],
  [
    'an open file',
    async (ours) => {
      const file = await ours.open(fileHashes[1] as string);
      await file.read(0, 3 * MIB);
      await file.close();
    },
  ],
  [
    'an edit',
    (ours) => ours.edit(fileHashes[2] as string, [{ offset: MIB, insert: new Uint8Array(10) }]),
  ],
];

describe('one request at a time', () => {
  it.each(ways)('is kept by %s', async (_, run) => {
    const ours = await open(1);
    await run(ours);
    await ours.close();
    expect([most, reading]).toEqual([1, 0]);
  });
});
