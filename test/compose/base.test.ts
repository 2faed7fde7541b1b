import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { type LoadedKernels, loadKernels } from '../../src/compose/chunk.js';
import { createClient } from '../../src/compose/client.js';
import type {
  ClientUploadOptions,
  OrbweaverClient,
  UploadResult,
} from '../../src/compose/client-types.js';
import type { UploadInput } from '../../src/compose/input.js';
import { createGateway, createMemoryStore, type Gateway } from '../../src/gateway/index.js';
import type { Exchange } from '../../src/http/index.js';
import { edited, MIB, random } from '../client/upload/support.js';
import { WRITE_TOKEN } from '../gateway/support/rig.js';
import { hubLike } from './hub-like.js';

/** Both versions: the second one differs at its beginning, so that its first chunk tells nothing. */
const OLD = random(1, 3 * MIB);
const NEW = edited(edited(OLD, 0, random(2, 100)), 2 * MIB, random(3, 1000));

let dir: string;
let gateway: Gateway;
const kernels: LoadedKernels = await loadKernels();
let requests: string[];
const clients: OrbweaverClient[] = [];

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orbweaver-base-'));
  await writeFile(join(dir, 'old.bin'), OLD);
  await writeFile(join(dir, 'new.bin'), NEW);
  await mkdir(join(dir, 'before', 'sub'), { recursive: true });
  await writeFile(join(dir, 'before', 'sub', 'a.bin'), OLD);
});
afterAll(() => rm(dir, { recursive: true }));
beforeEach(() => {
  requests = [];
  gateway = createGateway({
    store: createMemoryStore(),
    ...kernels,
    tokens: [{ token: WRITE_TOKEN, scope: 'write' }],
    options: { dedupOneIn: 1024 },
  });
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  await gateway.close();
});

/** A machine that remembers nothing. `plain`: the server is any server of the protocol. */
async function upload(
  input: UploadInput,
  options: ClientUploadOptions = {},
  plain = false,
): Promise<UploadResult> {
  const exchange: Exchange = async (request) => {
    requests.push(`${request.method} ${request.url.pathname}`);
    const response = await gateway.exchange(request);
    if (!plain) return response;
    const { 'x-orbweaver-dedup': _, ...headers } = response.headers;
    return { ...response, headers };
  };
  const client = await createClient({
    endpoint: 'http://gateway.test',
    token: WRITE_TOKEN,
    workers: 0,
    exchange,
  });
  clients.push(client);
  return client.upload(input, options);
}

const newBytes = ({ files }: UploadResult): number | undefined => files[0]?.newBytes;

describe('a base', () => {
  it.each([true, false])(
    'that is a local copy: only what is new is stored (plain server: %s)',
    async (plain) => {
      const first = await upload({ name: 'old', data: OLD });
      expect(newBytes(await upload({ name: 'x', data: NEW }, {}, true))).toBeGreaterThan(2 * MIB);
      gateway = await anew();
      await upload({ name: 'old', data: OLD });
      const second = await upload(
        { name: 'new', data: NEW },
        { base: join(dir, 'old.bin') },
        plain,
      );
      // Two places were touched: a few chunks of at most 128 KiB.
      expect(newBytes(second)).toBeLessThan(MIB);
      expect(second.files[0]?.globalBytes).toBeGreaterThan(2 * MIB);
      expect(second.bases).toEqual([
        {
          base: join(dir, 'old.bin'),
          fileHash: first.files[0]?.fileHash,
          knownChunks: first.files[0]?.chunkCount,
          readBytes: 0,
          problem: null,
        },
      ]);
      await comesBack(second, NEW);
    },
  );

  it('that is a hash is enough for a server that lists the chunks of a file', async () => {
    const { files } = await upload({ name: 'old', data: OLD });
    const base = files[0]?.fileHash as string;
    const second = await upload({ name: 'new', data: NEW }, { base });
    expect(newBytes(second)).toBeLessThan(MIB);
    expect(second.bases).toMatchObject([
      { base, knownChunks: files[0]?.chunkCount, problem: null },
    ]);
    await comesBack(second, NEW);
  });

  it('that is a hash is learnt from the hashes of its chunks where the server tells those, as the Hub does', async () => {
    const old = random(5, 12 * MIB);
    const next = edited(edited(old, 0, random(2, 100)), 7 * MIB, random(3, 1000));
    const { files } = await upload({ name: 'old', data: old });
    const base = files[0]?.fileHash as string;
    const honest = gateway;
    let questionBytes = 0;
    const asHub = hubLike(honest.exchange, new Map([[base, old]]));
    const exchange: Exchange = async (request) => {
      const response = await asHub(request);
      const isQuestion = request.url.pathname.includes('file-chunk-hashes');
      if (isQuestion) questionBytes += response.body?.sizeBytes ?? 0;
      return response;
    };
    gateway = { ...honest, exchange };
    requests = [];
    const second = await upload({ name: 'new', data: next }, { base }, true);
    gateway = honest;
    expect(second.bases).toMatchObject([
      { base, knownChunks: files[0]?.chunkCount, problem: null },
    ]);
    // Two places were touched: a few chunks of at most 128 KiB.
    expect(newBytes(second)).toBeLessThan(MIB);
    expect(questionBytes).toBeGreaterThan(0);
    expect(questionBytes).toBeLessThan(old.length / 100);
    expect(second.bases?.[0]?.readBytes).toBeLessThan(old.length / 16);
    await comesBack(second, next);
  });

  it('that is a hash is told of and ignored where the server does neither', async () => {
    const { files } = await upload({ name: 'old', data: OLD });
    const base = files[0]?.fileHash as string;
    const honest = gateway;
    gateway = {
      ...honest,
      exchange: async (request) =>
        request.url.pathname.includes('file-chunk-hashes')
          ? { status: 404, headers: {}, body: null }
          : honest.exchange(request),
    };
    requests = [];
    const second = await upload({ name: 'new', data: NEW }, { base }, true);
    expect(second.bases?.[0]?.problem).toMatch(/name a local copy; the upload goes on without it$/);
    expect(newBytes(second)).toBe(NEW.length);
    expect(requests.filter((each) => /^POST \/v1\/chunks/.test(each))).toEqual([]);
  });

  it('that the server does not know, and one that is not there, are told of and ignored', async () => {
    const unknown = 'ab'.repeat(32);
    const missing = join(dir, 'missing.bin');
    const bases = [unknown, join(dir, 'old.bin'), missing];
    const { failed, ...result } = await upload({ name: 'new', data: NEW }, { base: bases });
    expect(failed).toEqual([]);
    expect(result.bases?.map(({ base }) => base)).toEqual(bases);
    expect(result.bases?.[0]?.problem).toMatch(/does not know it/);
    expect(result.bases?.[1]).toMatchObject({ knownChunks: 0 });
    expect(result.bases?.[1]?.fileHash).toMatch(/^[0-9a-f]{64}$/);
    expect(result.bases?.[2]?.problem).toMatch(/missing\.bin.*goes on without it$/);
    expect(newBytes(result as UploadResult)).toBe(NEW.length);
  });

  it('of one file is given with it', async () => {
    await upload({ name: 'old', data: OLD });
    const input = { name: 'new', data: NEW, base: join(dir, 'old.bin') };
    expect(newBytes(await upload(input))).toBeLessThan(MIB);
  });

  it('that is a folder gives each input the file at its own relative path, or of its name', async () => {
    await upload({ name: 'old', data: OLD });
    const base = join(dir, 'before');
    const found = await upload({ name: 'sub/a.bin', data: NEW }, { base });
    expect(newBytes(found)).toBeLessThan(MIB);
    expect(found.bases).toMatchObject([{ base: join(base, 'sub', 'a.bin'), problem: null }]);
    const none = await upload({ name: '../before/sub/none.bin', data: random(7, MIB) }, { base });
    expect(none.bases).toBeUndefined();
  });

  it('does not outlive a server that lies about it', async () => {
    const first = await upload({ name: 'old', data: OLD });
    // The terms are those of another file with as many bytes.
    const other = await upload({ name: 'other', data: random(8, OLD.length) });
    const [hash, otherHash] = [first, other].map(({ files }) => files[0]?.fileHash as string);
    const honest = gateway;
    const lying: Exchange = (request) => {
      const url = new URL(request.url.href.replace(hash as string, otherHash as string));
      return honest.exchange({ ...request, url });
    };
    gateway = { ...honest, exchange: lying };
    const second = await upload({ name: 'new', data: NEW }, { base: join(dir, 'old.bin') });
    expect(second.bases?.[0]?.problem).toMatch(/made of other chunks/);
    gateway = honest;
    await comesBack(second, NEW);
  });
});

async function anew(): Promise<Gateway> {
  await gateway.close();
  return createGateway({
    store: createMemoryStore(),
    ...kernels,
    tokens: [{ token: WRITE_TOKEN, scope: 'write' }],
    options: { dedupOneIn: 1024 },
  });
}

async function comesBack({ files }: UploadResult, bytes: Uint8Array): Promise<void> {
  const client = clients[0] as OrbweaverClient;
  const pieces: Uint8Array[] = [];
  for await (const piece of client.stream(files[0]?.fileHash as string)) pieces.push(piece);
  expect(Buffer.compare(Buffer.concat(pieces), bytes)).toBe(0);
}
