import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as client from 'orbweaver';
import * as gateway from 'orbweaver/gateway';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Exchange } from '../../src/http/index.js';
import { generate } from '../support/generators.js';

/** What an upload of an unchanged folder of 1,000 files costs. */

const FILES = 1000;
const FILE_BYTES = 4096;
/** Of a second upload, the manifest and its questions included. */
const A_HANDFUL = 12;

let top: string;
let gate: gateway.Gateway;
let requests: string[] = [];

beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), 'orbweaver-requests-'));
  const { hasher, codec } = await client.loadKernels();
  gate = gateway.createGateway({
    ...{ store: gateway.createMemoryStore(), hasher, codec },
    tokens: [{ token: 'secret', scope: 'write' }],
    options: { onAccess: ({ method, path }) => requests.push(`${method} ${path}`) },
  });
  const bytes = generate({ kind: 'splitmix64', seed: 7, bytes: FILES * FILE_BYTES });
  for (let d = 0; d < 10; d++) await mkdir(join(top, 'source', `d${d}`), { recursive: true });
  await Promise.all(
    Array.from({ length: FILES }, (_, i) => {
      const data = bytes.subarray(FILE_BYTES * i, FILE_BYTES * (i + 1));
      return writeFile(join(top, 'source', `d${i % 10}`, `f${i}`), data);
    }),
  );
});
afterAll(async () => {
  await gate?.close();
  await rm(top, { recursive: true, force: true });
});

/** Uploads the folder with a client of its own, as another run of the program would. */
async function upload(
  options: Partial<client.ClientOptions> & { readonly isPlain?: boolean } = {},
): Promise<client.FolderUploadResult> {
  const { isPlain = false, ...rest } = options;
  // A server that does not take many chunks in one question does not announce it.
  const plain: Exchange = async (request) => {
    const { headers, ...response } = await gate.exchange(request);
    const { 'x-orbweaver-dedup': _, ...others } = headers;
    return { ...response, headers: others };
  };
  const ours = await client.createClient({
    ...{ endpoint: 'http://gateway.test', token: 'secret', workers: 0, maxMemory: 16 << 20 },
    exchange: isPlain ? plain : gate.exchange,
    ...rest,
  });
  requests = [];
  try {
    return await ours.uploadFolder(join(top, 'source'));
  } finally {
    await ours.close();
  }
}

describe('a folder of 1,000 files that did not change', () => {
  it('costs a handful of requests, from a machine that remembers nothing, and from one that does', async () => {
    const first = await upload();
    expect(first).toMatchObject({ fileCount: FILES, newBytes: FILES * FILE_BYTES });
    const stateFolder = join(top, 'state');
    const shardCacheDir = join(top, 'cache');
    const runs: readonly (readonly [string, Parameters<typeof upload>[0]])[] = [
      ['nothing', {}],
      ['nothing, of a server that takes one chunk at a time', { isPlain: true }],
      ['the first run with both folders', { stateFolder, shardCacheDir }],
      ['all', { stateFolder, shardCacheDir }],
    ];
    for (const [name, options] of runs) {
      const again = await upload(options);
      expect(again, name).toMatchObject({
        ...{ manifestHash: first.manifestHash, fileCount: FILES },
        ...{ newBytes: 0, xorbCount: 0 },
      });
      expect(requests.length, `${name}: ${requests.join(' ')}`).toBeLessThanOrEqual(A_HANDFUL);
      // Each shard is registered in one request, the manifest in another.
      expect(
        requests.filter((each) => each === 'POST /v2/shards'),
        name,
      ).toHaveLength(2);
    }
  });
});
