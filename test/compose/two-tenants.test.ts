import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, type OrbweaverClient } from 'orbweaver';
import {
  createTokenSigner,
  keptTokenKeys,
  startGateway,
  type TokenClaims,
} from 'orbweaver/gateway';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generate } from '../support/generators.js';

/** Two tenants of one running gateway, as our own client meets it with signed tokens. */

let folder: string;
let gateway: Awaited<ReturnType<typeof startGateway>>;
const clients: OrbweaverClient[] = [];
let requestCount = 0;
const principals = new Set<string | null>();
const data = generate({ kind: 'splitmix64', seed: 4242, bytes: 700_000 });

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-two-tenants-'));
  await writeFile(join(folder, 'data'), data);
  gateway = await startGateway({
    data: join(folder, 'store'),
    port: 0,
    workers: 0,
    quotas: { south: { storedBytes: 900_000 }, east: { logicalBytes: 399_999 } },
    onAccess: ({ principal }) => {
      principals.add(principal);
      requestCount++;
    },
  });
});

afterAll(async () => {
  await Promise.all(clients.map((client) => client.close()));
  await gateway.close();
  await rm(folder, { recursive: true });
});

async function clientOf(claims: TokenClaims): Promise<OrbweaverClient> {
  const signer = createTokenSigner({ keys: keptTokenKeys(join(folder, 'store')) });
  const { token } = await signer.issue(claims, 60_000);
  const client = await createClient({ endpoint: gateway.url, token, workers: 0 });
  clients.push(client);
  return client;
}

async function read(client: OrbweaverClient, fileHash: string): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for await (const piece of client.stream(fileHash)) pieces.push(Uint8Array.from(piece));
  return Buffer.concat(pieces);
}

describe('two tenants of one gateway', () => {
  it('send and keep the same content each for itself', async () => {
    const north = await clientOf({ scope: 'write', tenant: 'north', id: 'anna' });
    const south = await clientOf({ scope: 'write', tenant: 'south', id: 'bert' });
    const first = await north.upload([join(folder, 'data')]);
    const fileHash = first.files[0]?.fileHash ?? '';
    await expect(read(south, fileHash)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const second = await south.upload([join(folder, 'data')]);
    expect(second.files[0]?.fileHash).toBe(fileHash);
    // Nothing of what the other one has is found, what one has itself is.
    expect(second.xorbBytes).toBe(first.xorbBytes);
    expect((await south.upload([join(folder, 'data')], { rehash: true })).xorbBytes).toBe(0);
    expect((await read(north, fileHash)).equals(data)).toBe(true);
    expect((await read(south, fileHash)).equals(data)).toBe(true);
    expect([...principals]).toEqual(expect.arrayContaining(['anna', 'bert']));
  });

  it('have quotas of their own', async () => {
    const south = await clientOf({ scope: 'write', tenant: 'south' });
    const north = await clientOf({ scope: 'write', tenant: 'north' });
    const more = { name: 'more', data: generate({ kind: 'splitmix64', seed: 7, bytes: 400_000 }) };
    await expect(south.upload([more])).rejects.toMatchObject({
      code: 'QUOTA_EXCEEDED',
      message: expect.stringContaining('the quota of 900000 bytes of stored data'),
    });
    const east = await clientOf({ scope: 'write', tenant: 'east' });
    const before = requestCount;
    await expect(east.upload([more])).rejects.toMatchObject({
      code: 'QUOTA_EXCEEDED',
      message: expect.stringContaining('the quota of 399999 bytes of files'),
    });
    // A question and an answer for each step, and no second pass.
    expect(requestCount - before).toBeLessThan(10);
    expect((await north.upload([more])).files).toHaveLength(1);
  });

  it('can be backed up by a token that reads nothing back', async () => {
    const backup = await clientOf({ scope: 'append', tenant: 'north', id: 'backup' });
    const again = await backup.upload([join(folder, 'data')]);
    expect(again.xorbBytes).toBe(0);
    const more = { name: 'more', data: generate({ kind: 'splitmix64', seed: 8, bytes: 300_000 }) };
    const { files } = await backup.upload([more]);
    await expect(read(backup, files[0]?.fileHash ?? '')).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
    const reader = await clientOf({ scope: 'read', tenant: 'north' });
    expect((await read(reader, files[0]?.fileHash ?? '')).length).toBe(300_000);
    await expect(reader.upload([{ ...more, data: more.data.slice(1) }])).rejects.toMatchObject({
      code: 'FORBIDDEN',
    });
  });
});
