import { mkdtemp, rm } from 'node:fs/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createDiskStore,
  createGateway,
  createNodeServer,
  type Gateway,
  type NodeServer,
} from '../../src/gateway/index.js';
import { createSecrets } from '../../src/gateway/secrets.js';
import { signUrl } from '../../src/gateway/signed-url.js';
import { mounted } from './support/mounted.js';
import { buildXorb, codec, hasher, randomChunks, WRITE_TOKEN } from './support/rig.js';

/**
 * A gateway that a server asks directly, and the same one asked through web Requests, have to give
 * the same answers to the byte.
 */

const SECRET = new Uint8Array(32).fill(9);
const NOW_MS = 1_800_000_000_000;
const xorb = buildXorb(
  randomChunks(
    80,
    Array.from({ length: 20 }, (_, i) => 60_000 + i * 1000),
  ),
);
const total = xorb.bytes.length;
const auth = { authorization: `Bearer ${WRITE_TOKEN}` };

let folder = '';
let gateway: Gateway;
let native: NodeServer;
let web: NodeServer;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-native-'));
  gateway = createGateway({
    store: await createDiskStore(folder, { sync: false }),
    hasher,
    codec,
    // Boundaries of several ranges are random: here they are all the same.
    random: (lengthBytes) => new Uint8Array(lengthBytes).fill(5),
    clock: { now: () => 0, unixMs: () => NOW_MS, setTimer: () => () => undefined },
    tokens: [{ token: WRITE_TOKEN, scope: 'write' }],
    options: { secret: SECRET, publicUrl: 'http://store.test' },
  });
  native = await createNodeServer(gateway, { port: 0 });
  web = await createNodeServer(
    mounted((request) => gateway.handle(request)),
    { port: 0 },
  );
  const posted = await fetch(`${native.url}/v1/xorbs/default/${xorb.hash}`, {
    method: 'POST',
    headers: auth,
    body: xorb.bytes as Uint8Array<ArrayBuffer>,
  });
  expect(await posted.json()).toEqual({ was_inserted: true });
});

afterAll(async () => {
  await native.close();
  await web.close();
  await gateway.close();
  await rm(folder, { recursive: true, force: true });
});

interface Answer {
  status: number | undefined;
  headers: Record<string, unknown>;
  body: Buffer;
}

async function ask(
  server: NodeServer,
  path: string,
  headers: Record<string, string | string[]>,
  method = 'GET',
): Promise<Answer> {
  const { port } = server;
  const response = await new Promise<IncomingMessage>((resolve, reject) => {
    httpRequest({ port, path, method, headers, agent: false }, resolve).on('error', reject).end();
  });
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece);
  const { date: _, 'x-request-id': id, 'transfer-encoding': __, ...rest } = response.headers;
  expect(id).toMatch(/^[0-9a-f]{16}$/);
  const body = Buffer.concat(pieces);
  // Web Responses carry short bodies without a length.
  delete rest['content-length'];
  return { status: response.statusCode, headers: rest, body };
}

function target(ranges: { start: number; end: number }[] = [{ start: 0, end: total }]): string {
  const expiresSeconds = NOW_MS / 1000 + 60;
  const url = signUrl(createSecrets(SECRET, hasher), '', xorb.hash, { ranges, expiresSeconds });
  return url;
}

const many = Array.from({ length: 40 }, (_, i) => `${i * 30_000}-${i * 30_000 + 99}`).join(',');
const cases: [string, string, Record<string, string | string[]>][] = [
  ['a small range', target(), { range: 'bytes=100-199' }],
  ['one byte', target(), { range: 'bytes=0-0' }],
  ['a range longer than a buffer', target(), { range: `bytes=7-${total - 9}` }],
  ['a range of exactly one buffer', target(), { range: `bytes=1-${512 * 1024}` }],
  ['a range of a buffer and a byte', target(), { range: `bytes=1-${512 * 1024 + 1}` }],
  ['everything', target(), {}],
  ['the last bytes', target(), { range: 'bytes=-1000' }],
  ['several ranges', target(), { range: `bytes=${many}` }],
  ['several ranges in two header lines', target(), { range: ['bytes=0-9', '20-29'] }],
  ['an unsatisfiable range', target(), { range: `bytes=${total}-` }],
  ['a malformed range', target(), { range: 'bytes=5-1' }],
  ['more than is signed', target([{ start: 0, end: 10 }]), { range: 'bytes=0-10' }],
  ['a tag that matches', target(), { 'if-none-match': `"${xorb.hash}-${total}"` }],
  ['a tag of something else', target(), { 'if-range': '"x"', range: 'bytes=0-9' }],
  ['a changed signature', `${target().slice(0, -1)}x`, { range: 'bytes=0-9' }],
  ['a target with dot segments', `/v1/x/../fetch${target().slice(9)}`, { range: 'bytes=0-9' }],
  ['an encoded path', `/v1/%66etch${target().slice(9)}`, { range: 'bytes=0-9' }],
  ['a path that nobody offers', '/v1/nothing?x=1', {}],
  ['a file without a token', `/v1/reconstructions/${xorb.hash}`, {}],
  ['two tokens', `/v1/reconstructions/${xorb.hash}`, { authorization: [auth.authorization, 'x'] }],
  ['a file that is not there', `/v2/reconstructions/${xorb.hash}`, auth],
  ['health', '/health', {}],
];

describe('a gateway asked without web Requests', () => {
  it.each(cases)('answers the same: %s', async (_name, path, headers) => {
    const direct = await ask(native, path, headers);
    const wrapped = await ask(web, path, headers);
    expect(direct.status).toBe(wrapped.status);
    expect(direct.headers).toEqual(wrapped.headers);
    expect(direct.body.equals(wrapped.body)).toBe(true);
    const head = await ask(native, path, headers, 'HEAD');
    const wrappedHead = await ask(web, path, headers, 'HEAD');
    expect(head).toEqual(wrappedHead);
    expect(head.body.length).toBe(0);
  });

  it('serves the bytes that are stored', async () => {
    const { status, headers, body } = await ask(native, target(), { range: 'bytes=5000-799999' });
    expect(status).toBe(206);
    expect(headers['content-range']).toBe(`bytes 5000-799999/${total}`);
    expect(body.equals(xorb.bytes.subarray(5000, 800_000))).toBe(true);
  });
});
