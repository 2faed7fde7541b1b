import { createClient } from 'orbweaver';
import {
  createGateway,
  createNodeServer,
  createS3Store,
  type ObjectStore,
  startGateway,
} from 'orbweaver/gateway';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadKernels } from '../../src/compose/chunk.js';
import { generate } from '../support/generators.js';
import { type S3Server, startS3Server } from './support/s3-server.js';

const BYTES = 3_000_000;
const TOKEN = 'token-of-the-test';
let server: S3Server;
/** The service by another name than the gateway is asked by. */
let publicUrl: string;
const closers: (() => Promise<unknown>)[] = [];
beforeAll(async () => {
  server = await startS3Server();
  Object.assign(process.env, server.env);
  publicUrl = server.endpoint.replace('127.0.0.1', 'localhost');
});
afterAll(async () => {
  for (const close of closers.reverse()) await close();
  await server.close();
});

/** A file of which every second half MB is that of another one, so its xorbs are read in several ranges. */
function mixed(seed: number, other: Uint8Array): Uint8Array {
  const bytes = generate({ kind: 'splitmix64', seed, bytes: BYTES });
  for (let at = 0; at + 1_000_000 <= BYTES; at += 1_000_000) {
    bytes.set(other.subarray(at, at + 500_000), at);
  }
  return bytes;
}

async function readAll(pieces: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const piece of pieces) all.push(piece.slice());
  return Buffer.concat(all);
}

interface ReconstructionJson {
  readonly xorbs?: Record<string, { url: string; ranges: unknown[] }[]>;
  readonly fetch_info?: Record<string, { url: string }[]>;
}

describe('a gateway over a bucket that clients reach', () => {
  it('sends readers to the bucket: no byte of a xorb leaves the gateway', async () => {
    const paths: string[] = [];
    const gateway = await startGateway({
      data: `s3://${server.bucket}/direct`,
      s3: { endpoint: server.endpoint, publicUrl },
      port: 0,
      workers: 1,
      onAccess: ({ path }) => paths.push(path),
    });
    closers.push(() => gateway.close());
    const target = { endpoint: gateway.url, token: gateway.writeToken, workers: 1 };
    const client = await createClient(target);
    closers.push(() => client.close());
    const first = generate({ kind: 'splitmix64', seed: 1, bytes: BYTES });
    const second = mixed(2, first);
    const { files } = await client.upload([{ data: first }, { data: second }]);
    const hash = files[1]?.fileHash ?? '';

    expect((await readAll(client.stream(hash))).equals(second)).toBe(true);
    const part = await readAll(client.stream(hash, { offset: 700_001, length: 900_000 }));
    expect(part.equals(second.subarray(700_001, 1_600_001))).toBe(true);
    const file = await client.open(hash);
    expect(Buffer.from(await file.read(BYTES - 9, 9)).equals(second.subarray(BYTES - 9))).toBe(
      true,
    );
    await file.close();
    expect(paths.filter((path) => path.startsWith('/v1/fetch/'))).toEqual([]);

    const ask = async (version: number): Promise<ReconstructionJson> => {
      const headers = { authorization: `Bearer ${gateway.readToken}` };
      const url = `${gateway.url}/v${version}/reconstructions/${hash}`;
      return (await (await fetch(url, { headers })).json()) as ReconstructionJson;
    };
    const entries = Object.values((await ask(2)).xorbs ?? {}).flat();
    expect(entries.length).toBeGreaterThan(2);
    for (const { ranges } of entries) expect(ranges).toHaveLength(1);
    const older = Object.values((await ask(1)).fetch_info ?? {}).flat();
    expect(older).toHaveLength(entries.length);
    for (const { url } of [...entries, ...older])
      expect(url.startsWith(`${publicUrl}/`)).toBe(true);
  });

  it('gives new URLs in place of those that have ended', async () => {
    const store = await createS3Store(`s3://${server.bucket}/ended`, {
      endpoint: server.endpoint,
      publicUrl,
    });
    let signed = 0;
    const endingFirst: ObjectStore = {
      ...store,
      async signedGet(key, options) {
        const { url } = (await store.signedGet?.(key, options)) ?? { url: '' };
        // As if it had been signed at midnight, for a second.
        const ended = url
          .replace(/(X-Amz-Date=\d{8})T\d{6}Z/, '$1T000000Z')
          .replace(/(X-Amz-Expires=)\d+/, '$11');
        return { url: signed++ === 0 ? ended : url };
      },
    };
    const { hasher, codec } = await loadKernels();
    const gateway = createGateway({
      store: endingFirst,
      hasher,
      codec,
      tokens: [{ token: TOKEN, scope: 'write' }],
      options: { directDownloads: true },
    });
    const listening = await createNodeServer(gateway, { port: 0 });
    closers.push(async () => {
      await listening.close();
      await gateway.close();
      await store.close?.();
    });
    const outside = await createClient({ endpoint: listening.url, token: TOKEN, workers: 1 });
    closers.push(() => outside.close());
    const bytes = generate({ kind: 'splitmix64', seed: 3, bytes: BYTES });
    const { files } = await outside.upload([{ data: bytes }]);
    const hash = files[0]?.fileHash ?? '';
    expect((await readAll(outside.stream(hash))).equals(bytes)).toBe(true);
    expect(signed).toBeGreaterThan(1);

    // Who is in the same process reads through the gateway, which it reaches without a network.
    const signedBefore = signed;
    const { exchange } = gateway;
    const inside = await createClient({ endpoint: listening.url, token: TOKEN, exchange });
    closers.push(() => inside.close());
    expect((await readAll(inside.stream(hash))).equals(bytes)).toBe(true);
    expect(signed).toBe(signedBefore);
  });
});
