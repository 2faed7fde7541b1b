import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { failureOf, reportFailure } from '../../src/cli/output.js';
import type { Gateway } from '../../src/gateway/index.js';
import { type ClientOptions, createClient } from '../../src/index.js';
import { createComputePool } from '../../src/workers/index.js';
import { generate } from '../support/generators.js';
import { type Act, type Fault, give, type Kind, startProxy } from './proxy.js';
import { createSharedGateway, TOKENS } from './world.js';

vi.setConfig({ testTimeout: 60_000 });

/** What the command line says of each fault, word by word: one sentence, one next step. */

const BYTES = generate({ kind: 'splitmix64', seed: 77, bytes: 300_000 });

let folder: string;
let gateway: Gateway;
let fileHash: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-faults-'));
  const pool = await createComputePool({ threads: 0 });
  gateway = createSharedGateway(pool);
  await pool.close();
  const exchange = gateway.exchange;
  const facts = { endpoint: 'http://gateway.invalid', token: TOKENS[0], workers: 0 };
  const client = await createClient({ ...facts, exchange });
  fileHash = (await client.upload(BYTES)).files[0]?.fileHash as string;
  await client.close();
});
afterAll(async () => {
  await gateway.close();
  await rm(folder, { recursive: true });
});

interface Row {
  readonly at: Kind;
  readonly fault: Fault;
  readonly secure?: boolean;
  readonly options?: Partial<ClientOptions>;
  readonly to?: string;
}

/** What the command line says. Ports, hashes and request ids are those of this run, and left out. */
async function saidOf({ at, fault, secure = false, options, to }: Row): Promise<string> {
  const rest = { pass: async () => {}, shorterHash: '', times: Number.POSITIVE_INFINITY };
  const proxy = await startProxy({ gateway, secure, at, fault, ...rest });
  const client = await createClient({
    ...{ endpoint: proxy.url, token: TOKENS[0], workers: 0, grants: 'never' },
    retry: { retries: 0 },
    ...options,
  });
  const stderr = new PassThrough();
  const isUpload = at === 'xorb' || at === 'shard';
  try {
    if (isUpload) await client.upload({ name: 'a.bin', data: fresh() });
    else await client.download(fileHash, { to: to ?? join(folder, 'out') });
  } catch (error) {
    reportFailure(stderr, failureOf(error, isUpload ? 'upload' : 'download'), false);
  } finally {
    await client.close();
    await proxy.close();
  }
  return String(stderr.read() ?? 'nothing')
    .replace(/127\.0\.0\.1:\d+/g, 'HOST')
    .replace(/[0-9a-f]{64}/g, 'HASH')
    .replace(/request [\w-]{20,}/g, 'request ID')
    .replaceAll(tmpdir(), 'DIR');
}

/** Bytes that the store does not have. */
let seed = 1000;
const fresh = (): Uint8Array => generate({ kind: 'splitmix64', seed: seed++, bytes: 200_000 });

const says =
  (status: number, text = '', headers: Record<string, string> = {}): Fault =>
  async ({ request, response }) => {
    await request.body;
    response.writeHead(status, { 'x-request-id': 'req-7', ...headers }).end(text);
  };
const json = (status: number, error: string): Fault =>
  says(status, JSON.stringify({ error }), { 'content-type': 'application/json' });
const silence: Fault = async ({ request }) => void (await request.body);
const changed =
  (change: (bytes: Buffer) => Buffer): Fault =>
  async ({ forward, response }: Act) => {
    const answer = await forward();
    give(response, { ...answer, bytes: change(answer.bytes) });
  };
const flipped = (bytes: Buffer): Buffer => {
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] as number) ^ 16;
  return bytes;
};
const named =
  (url: string): Fault =>
  async ({ forward, response }) => {
    const answer = await forward();
    const text = answer.bytes.toString().replace(/"http:[^"]*"/g, JSON.stringify(url));
    give(response, { ...answer, bytes: Buffer.from(text) });
  };

const ROWS: Readonly<Record<string, Row>> = {
  'nobody listens': {
    at: 'xorb',
    fault: silence,
    options: { endpoint: 'http://127.0.0.1:1' },
  },
  'cut off': { at: 'xorb', fault: ({ request }) => request.socket.destroy() },
  'no response': { at: 'xorb', fault: silence, options: { responseTimeoutMs: 300 } },
  'a token that is not known': { at: 'xorb', fault: json(401, 'the token is not known') },
  'a token that may not write': { at: 'xorb', fault: json(403, 'this needs scope write') },
  'a body that a proxy refuses': { at: 'xorb', fault: says(413, '<html>Too Large</html>') },
  'a quota': {
    at: 'xorb',
    fault: says(413, '{"error":"the quota of tenant north is used up","code":"QUOTA_EXCEEDED"}'),
  },
  'too many requests': { at: 'xorb', fault: says(429, 'slow down', { 'retry-after': '60' }) },
  'a fault of the server': { at: 'xorb', fault: json(500, 'out of luck') },
  'a gateway without a server': { at: 'xorb', fault: says(502, '<html>Bad Gateway</html>') },
  maintenance: { at: 'xorb', fault: says(503, 'back at noon') },
  'a full disk of the server': { at: 'xorb', fault: json(507, 'the store is full') },
  'a xorb that is refused': { at: 'xorb', fault: json(400, 'chunk 3 does not have its hash') },
  'a redirect elsewhere': {
    at: 'xorb',
    fault: says(307, '', { location: 'http://elsewhere.example/x' }),
  },
  'a web page': { at: 'xorb', fault: says(200, '<html>Welcome</html>') },
  'an endpoint that is none': { at: 'xorb', fault: says(404, 'no such page') },
  'a certificate that nobody vouches for': { at: 'xorb', fault: silence, secure: true },
  'a shard that is refused': {
    at: 'shard',
    fault: says(
      200,
      '{"type":"error","code":"BAD","message":"a term is wrong","retryable":false}\n',
    ),
  },
  'a registration that breaks off': {
    at: 'shard',
    fault: says(200, '{"type":"validating","verified":1,"total":2}\n'),
  },
  'a file that is not there': { at: 'plan', fault: json(404, 'not found') },
  'a plan that is none': { at: 'plan', fault: says(200, '{"terms":7}') },
  'a URL that has expired': { at: 'range', fault: says(403, 'Request has expired') },
  'a URL inside the network': {
    at: 'plan',
    fault: named('http://169.254.169.254/latest/meta-data'),
  },
  'damaged bytes': { at: 'range', fault: changed(flipped) },
  'too few bytes': { at: 'range', fault: changed((bytes) => bytes.subarray(0, 1000)) },
  'a disk that is full': { at: 'other', fault: silence, to: '/dev/full' },
  'a folder where the file goes': { at: 'other', fault: silence, to: tmpdir() },
};

describe('a fault at the command line', () => {
  it('is told in a sentence, with the next step', async () => {
    const said: string[] = [];
    for (const [what, row] of Object.entries(ROWS)) {
      said.push(`${what}\n${await saidOf(row)}`);
    }
    expect(said.join('\n')).toMatchInlineSnapshot(`
      "nobody listens
      orbweaver: no response from HOST to POST /v1/xorbs: no server listens there (NETWORK)
        Check the endpoint (--endpoint, ORBWEAVER_ENDPOINT) and the network, then try again.

      cut off
      orbweaver: no response from HOST to POST /v1/xorbs: the connection was cut off (NETWORK)
        Check the endpoint (--endpoint, ORBWEAVER_ENDPOINT) and the network, then try again.

      no response
      orbweaver: HOST was silent for too long in POST /v1/xorbs, while waiting for the response (STALLED)
        Check the network; try again.

      a token that is not known
      orbweaver: HOST refused POST /v1/xorbs with status 401: the token is not known (AUTH_REQUIRED, request req-7)
        Pass a valid token with --token T, or in ORBWEAVER_TOKEN.

      a token that may not write
      orbweaver: HOST refused POST /v1/xorbs with status 403: this needs scope write (FORBIDDEN, request req-7)
        Use a token with the needed scope.

      a body that a proxy refuses
      orbweaver: HOST refused POST /v1/xorbs with status 413: Too Large (REJECTED, request req-7)
        Something in between may limit bodies: try --max-xorb-bytes 8MiB.

      a quota
      orbweaver: HOST refused POST /v1/xorbs with status 413: the quota of tenant north is used up (QUOTA_EXCEEDED, request req-7)
        Delete something there, or ask for a larger quota.

      too many requests
      orbweaver: HOST refused POST /v1/xorbs with status 429: slow down (RATE_LIMITED, request req-7)
        Try again in 60 s; --concurrency 1 asks for less at a time.

      a fault of the server
      orbweaver: HOST refused POST /v1/xorbs with status 500: out of luck (SERVER_ERROR, request req-7)
        Try again later.

      a gateway without a server
      orbweaver: HOST refused POST /v1/xorbs with status 502: Bad Gateway (SERVER_ERROR, request req-7)
        Try again later.

      maintenance
      orbweaver: HOST refused POST /v1/xorbs with status 503: back at noon (SERVER_ERROR, request req-7)
        Try again later.

      a full disk of the server
      orbweaver: HOST refused POST /v1/xorbs with status 507: the store is full (DISK_FULL, request req-7)
        The server has no room left: whoever runs it has to make some.

      a xorb that is refused
      orbweaver: HOST refused POST /v1/xorbs with status 400: chunk 3 does not have its hash (REJECTED, request req-7)
        The server message says why.

      a redirect elsewhere
      orbweaver: HOST redirects POST /v1/xorbs elsewhere (status 307) (PROTOCOL, request req-7)
        Redirects are not followed, because the token would go along: give --endpoint the URL at their end.

      a web page
      orbweaver: "body" of POST /v1/xorbs expected JSON, got 20 bytes of something else (PROTOCOL)
        Check that --endpoint is a content-addressed store, and that nothing in between changes what it says.

      an endpoint that is none
      orbweaver: HOST refused POST /v1/xorbs with status 404: no such page (NOT_FOUND, request req-7)
        Check the endpoint (--endpoint): it is not that of a content-addressed store.

      a certificate that nobody vouches for
      orbweaver: the certificate of HOST is not trusted: self-signed certificate (DEPTH_ZERO_SELF_SIGNED_CERT) (NETWORK)
        If that is a private authority, trust it: its certificate (PEM) in --ca FILE ("ca"), in SSL_CERT_FILE for the command line, or in NODE_EXTRA_CA_CERTS.

      a shard that is refused
      orbweaver: POST /v2/shards expected a result line, got an error: a term is wrong (REJECTED, request req-7)
        The server message says why.

      a registration that breaks off
      orbweaver: POST /v2/shards expected a result line, got the end of the stream (SERVER_ERROR, request req-7)
        Try again later.

      a file that is not there
      orbweaver: the store at HOST has no file with the hash HASH (NOT_FOUND, status 404, request req-7)
        Check the hash and the endpoint.

      a plan that is none
      orbweaver: "terms" expected an array, got 7 (PROTOCOL)
        Check that --endpoint is a content-addressed store, and that nothing in between changes what it says.

      a URL that has expired
      orbweaver: HOST refused GET of xorb data with status 403: Request has expired (FORBIDDEN, request req-7)
        The URLs of the store may have expired too soon: check the clock of this machine, then try again.

      a URL inside the network
      orbweaver: "url" expected a public address for 169.254.169.254, got a link-local one (UNSAFE_URL)
        Check the endpoint; allow the host if you trust it.

      damaged bytes
      orbweaver: "file hash" expected HASH, got HASH; damaged in xorb HASH chunks [0, 6) (INTEGRITY)
        The store holds damaged data; nothing was written under the final name.

      too few bytes
      orbweaver: "content-length" of xorb data expected 300048 as in Content-Range, got 1000 (PROTOCOL)
        Check that --endpoint is a content-addressed store, and that nothing in between changes what it says.

      a disk that is full
      orbweaver: "/dev/full" expected a writable output, got a full disk (DISK_FULL)
        Free some space and try again.

      a folder where the file goes
      orbweaver: "DIR" expected a regular file or nothing, got a folder (OUTPUT_UNWRITABLE)
        Check that the folder is there and may be written, or choose another one.
      "
    `);
  });
});
