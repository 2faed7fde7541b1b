import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startGateway } from 'orbweaver/gateway';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inProcess } from './in-process.js';

/** `orbweaver token`: tokens that a gateway over the same store accepts, also one that runs already. */

let folder: string;
let gateway: Awaited<ReturnType<typeof startGateway>>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-token-'));
  gateway = await startGateway({ data: folder, port: 0, workers: 0 });
});

afterAll(async () => {
  await gateway.close();
  await rm(folder, { recursive: true });
});

const token = (...args: string[]) => inProcess(['token', '--data', folder, ...args]);
const ask = (text: string, path: string, method = 'GET') =>
  fetch(gateway.url + path, { method, headers: { authorization: `Bearer ${text}` } });
const file = `/v2/reconstructions/${'0'.repeat(64)}`;

describe('orbweaver token', () => {
  it('prints one token and nothing else, which a running gateway accepts', async () => {
    const run = await token('--scope', 'read', '--tenant', 'north');
    expect(run.status).toBe(0);
    expect(run.stderr).toBe('');
    const text = run.stdout.toString();
    expect(text).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/);
    expect((await ask(text.trim(), file)).status).toBe(404);
    expect((await ask(text.trim(), '/v1/shards', 'POST')).status).toBe(403);
  });

  it('tells as JSON what the token says', async () => {
    const run = await token(
      '--scope',
      'append',
      '--id',
      'backup of x',
      '--expires',
      '60',
      '--json',
    );
    expect(run.json()).toMatchObject({
      id: 'backup of x',
      scope: 'append',
      tenant: null,
      repository: null,
    });
    const { token: text, expiresAt } = run.json() as { token: string; expiresAt: string };
    expect(Date.parse(expiresAt)).toBeGreaterThan(Date.now() + 50_000);
    expect((await ask(text, file)).status).toBe(403);
  });

  it('rotates, lists and revokes keys', async () => {
    const before = (await token('--scope', 'read', '--json')).json();
    const rotated = await token('rotate', '--json');
    const { key } = rotated.json() as { key: string };
    const after = (await token('--scope', 'read', '--json')).json();
    expect(after['keyId']).toBe(key);
    expect((await ask(String(after['token']), file)).status).toBe(404);
    expect((await ask(String(before['token']), file)).status).toBe(404);
    const { keys } = (await token('keys', '--json')).json() as { keys: { id: string }[] };
    expect(keys.map(({ id }) => id)).toEqual([key, before['keyId']]);
    expect((await token('revoke', String(before['keyId']))).status).toBe(0);
    const again = await token('revoke', String(before['keyId']));
    expect([again.status, again.stderr]).toEqual([5, expect.stringContaining('token keys lists')]);
    expect((await token('keys')).stdout.toString()).toMatch(new RegExp(`^${key}  \\d{4}-.*\\n$`));
  });

  it('says what is wrong with a command line', async () => {
    const bad = [
      ['--scope', 'root'],
      ['--scope', 'read', '--expires', '0'],
      ['--scope', 'read', '--tenant', 'North'],
      [],
      ['keys', '--scope', 'read'],
      ['revoke'],
      ['remove'],
    ];
    for (const args of bad) {
      const run = await token(...args);
      expect([args, run.status, run.stdout.length]).toEqual([args, 2, 0]);
    }
    expect((await inProcess(['token', '--scope', 'read'])).stderr).toContain('--data PLACE');
  });
});
