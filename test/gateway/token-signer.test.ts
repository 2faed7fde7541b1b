import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SignJWT } from 'jose';
import { describe, expect, it } from 'vitest';
import {
  addTokenKey,
  createGateway,
  createGatewayLog,
  createMemoryStore,
  createTokenSigner,
  type IssuedToken,
  keptTokenKeys,
  memoryTokenKeys,
  type TokenClaims,
  type TokenKeys,
} from '../../src/gateway/index.js';
import { codec, createFakeClock, hasher, jsonOf, makeRequest } from './support/rig.js';

/** Signed tokens: what they say, how long it holds, and which keys they are signed with. */

const HOUR_MS = 3_600_000;
const clockAndKeys = () => ({ clock: createFakeClock(), keys: memoryTokenKeys() });

function createSignedRig(parts: { clock: ReturnType<typeof createFakeClock>; keys: TokenKeys }) {
  const { clock, keys } = parts;
  const access: (string | null)[] = [];
  const gateway = createGateway({
    store: createMemoryStore({ clock }),
    hasher,
    codec,
    clock,
    tokens: [{ token: 'static', scope: 'write' }],
    signer: createTokenSigner({ keys, clock }),
    options: { onAccess: ({ principal }) => access.push(principal) },
  });
  const path = `/v1/files/${'0'.repeat(64)}`;
  const ask = async (token: string, method = 'HEAD', at = path): Promise<Response> => {
    const response = await gateway.handle(makeRequest(method, at, { token }));
    // To its end, which is when it is told.
    await response.clone().arrayBuffer();
    return response;
  };
  return { ask, access };
}

describe('signed tokens', () => {
  it('stand for whom they name, until they expire to the second', async () => {
    const { clock, keys } = clockAndKeys();
    const signer = createTokenSigner({ keys, clock });
    const { ask, access } = createSignedRig({ clock, keys });
    const claims = { scope: 'read', id: 'ci', tenant: 'north', repository: 'models/x' } as const;
    const issued = await signer.issue(claims, HOUR_MS);
    expect(issued.principal).toEqual(claims);
    expect(issued.expiresMs).toBe(clock.unixMs() + HOUR_MS);
    expect(await signer.verify(issued.token)).toEqual(claims);
    expect((await ask(issued.token)).status).toBe(404);
    expect((await ask(issued.token, 'POST', '/v1/shards')).status).toBe(403);
    expect(access.at(-1)).toBe('ci');
    clock.unix += HOUR_MS - 1;
    expect((await ask(issued.token)).status).toBe(404);
    clock.unix += 1;
    const expired = await ask(issued.token, 'GET', `/v2/reconstructions/${'0'.repeat(64)}`);
    expect(expired.status).toBe(401);
    expect(expired.headers.get('www-authenticate')).toBe('Bearer');
    expect(await jsonOf(expired)).toEqual({
      code: 'AUTH_REQUIRED',
      error: `the bearer token expired at ${new Date(issued.expiresMs).toISOString()}; get a new one`,
    });
    // Those of the list go on.
    expect((await ask('static')).status).toBe(404);
    expect((await ask('unknown')).status).toBe(401);
  });

  it('are signed with the newest key and accepted while theirs is kept', async () => {
    const { clock, keys } = clockAndKeys();
    const signer = createTokenSigner({ keys, clock });
    const { ask } = createSignedRig({ clock, keys });
    const old = await signer.issue({ scope: 'read' }, HOUR_MS);
    expect((await ask(old.token)).status).toBe(404);
    clock.advance(1000);
    const { id } = await addTokenKey(keys, { clock });
    expect((await signer.issue({ scope: 'read' }, HOUR_MS)).keyId).toBe(old.keyId);
    clock.advance(10_000);
    const young = await signer.issue({ scope: 'read' }, HOUR_MS);
    expect(young.keyId).toBe(id);
    expect(old.keyId).not.toBe(id);
    // A gateway that runs meets the new key at once.
    expect((await ask(young.token)).status).toBe(404);
    expect((await ask(old.token)).status).toBe(404);
    await keys.remove(old.keyId);
    clock.advance(10_000);
    expect((await ask(young.token)).status).toBe(404);
    const refused = await ask(old.token, 'GET', `/v2/reconstructions/${'0'.repeat(64)}`);
    expect(await jsonOf(refused)).toMatchObject({
      error: 'the bearer token was signed with a key that is not accepted here; get a new one',
    });
  });

  it('of made-up keys have the keys read again once in a second, and hold up nobody else', async () => {
    const clock = createFakeClock();
    const kept = memoryTokenKeys();
    let lists = 0;
    const countedList = () => {
      lists++;
      return kept.list();
    };
    const keys: TokenKeys = { ...kept, list: countedList };
    const signer = createTokenSigner({ keys, clock });
    const { ask } = createSignedRig({ clock, keys });
    const good = await signer.issue({ scope: 'read' }, HOUR_MS);
    const stranger = createTokenSigner({ keys: memoryTokenKeys(), clock });
    const bad = (await stranger.issue({ scope: 'admin' }, HOUR_MS)).token;
    lists = 0;
    const first = await Promise.all(Array.from({ length: 20 }, () => ask(good.token)));
    expect(first.map(({ status }) => status)).toEqual(Array(20).fill(404));
    expect(lists).toBe(1);
    const many = await Promise.all(Array.from({ length: 50 }, () => ask(bad)));
    expect(many.map(({ status }) => status)).toEqual(Array(50).fill(401));
    expect(lists).toBeLessThanOrEqual(3);
    for (let times = 0; times < 20 && clock.timerCount === 0; times++) {
      void ask(bad);
      await new Promise((resolve) => setImmediate(resolve));
    }
    const waiting = ask(bad);
    expect(lists).toBeLessThanOrEqual(12);
    expect((await ask(good.token)).status).toBe(404);
    clock.advance(1000);
    expect((await waiting).status).toBe(401);
  });

  it('are accepted while the keys cannot be read for a moment', async () => {
    const { clock, keys } = clockAndKeys();
    let broken = false;
    const shaky: TokenKeys = {
      ...keys,
      list: async () => {
        if (broken) throw new Error('the store is away');
        return keys.list();
      },
    };
    const signer = createTokenSigner({ keys: shaky, clock });
    const { token } = await signer.issue({ scope: 'read' }, HOUR_MS);
    await signer.verify(token);
    broken = true;
    clock.advance(60_000);
    expect(await signer.verify(token)).toMatchObject({ scope: 'read' });
  });

  it('that are forged, of other algorithms or about nothing are refused', async () => {
    const { clock, keys } = clockAndKeys();
    const signer = createTokenSigner({ keys, clock });
    const { token, keyId } = await signer.issue({ scope: 'read', id: 'x' }, HOUR_MS);
    const [header, payload, signature] = token.split('.') as [string, string, string];
    const json = (text: string): string => Buffer.from(text).toString('base64url');
    const raised = json(Buffer.from(payload, 'base64url').toString().replace('read', 'admin'));
    const secret = (await keys.list())[0]?.secret as Uint8Array;
    const iat = Math.floor(clock.unixMs() / 1000);
    const signed = (claims: Record<string, unknown>, alg = 'HS256'): Promise<string> =>
      new SignJWT({ aud: 'orbweaver', sub: 'x', scope: 'read', iat, exp: iat + 60, ...claims })
        .setProtectedHeader({ alg, kid: keyId })
        .sign(alg === 'HS256' ? secret : new Uint8Array(64));
    expect(await signer.verify(await signed({}))).toMatchObject({ id: 'x', scope: 'read' });
    // Its clock is a little ahead.
    expect(await signer.verify(await signed({ iat: iat + 200 }))).toMatchObject({ id: 'x' });
    const bad = [
      `${header}.${raised}.${signature}`,
      `${json(`{"alg":"none","kid":"${keyId}"}`)}.${payload}.${signature}`,
      `${header}.${payload}.${'A'.repeat(43)}`,
      'a.b.c',
      await signed({}, 'HS512'),
      await signed({ aud: 'somebody' }),
      await signed({ scope: 'root' }),
      await signed({ scope: undefined }),
      await signed({ sub: undefined }),
      await signed({ exp: undefined }),
      await signed({ tenant: '../x' }),
      await signed({ tenant: 7 }),
      await signed({ iat: iat + 4000, exp: iat + 9000 }),
    ];
    for (const each of bad) {
      await expect(signer.verify(each), each).rejects.toMatchObject({ code: 'AUTH_REQUIRED' });
    }
  });

  it('are never more than what their principal may', async () => {
    const signer = createTokenSigner(clockAndKeys());
    const principal = { id: 'anna', scope: 'append', tenant: 'north' } as const;
    const issued: IssuedToken = await signer.issueToken(principal, 'append', HOUR_MS);
    expect(issued.principal).toMatchObject({ id: 'anna', scope: 'append', tenant: 'north' });
    for (const scope of ['read', 'write', 'admin'] as const) {
      await expect(signer.issueToken(principal, scope, HOUR_MS)).rejects.toMatchObject({
        code: 'FORBIDDEN',
      });
    }
    const writer = { id: 'bert', scope: 'write' } as const;
    expect((await signer.issueToken(writer, 'read', HOUR_MS)).principal.scope).toBe('read');
    expect((await signer.issueToken(writer, 'append', HOUR_MS)).principal.scope).toBe('append');
  });

  it('cannot be made for what means nothing', async () => {
    const signer = createTokenSigner(clockAndKeys());
    const bad: readonly [Partial<TokenClaims>, number][] = [
      [{ scope: 'root' as 'read' }, HOUR_MS],
      [{ scope: 'read', tenant: 'A' }, HOUR_MS],
      [{ scope: 'read', id: 'x\n' }, HOUR_MS],
      [{ scope: 'read', repository: '' }, HOUR_MS],
      [{ scope: 'read' }, 0],
      [{ scope: 'read' }, Number.NaN],
    ];
    for (const [claims, lifetimeMs] of bad) {
      await expect(signer.issue(claims as TokenClaims, lifetimeMs)).rejects.toThrow(/expected/);
    }
    expect(() => createTokenSigner({} as { keys: TokenKeys })).toThrow('"keys" expected');
  });

  it('are not in logs', async () => {
    const { token } = await createTokenSigner(clockAndKeys()).issue({ scope: 'read' }, HOUR_MS);
    let text = '';
    const log = createGatewayLog({ write: (lines) => (text += lines) });
    log.onWarning(`got ${token} twice: Bearer ${token}`);
    expect(text).toContain('got ***');
    expect(text).not.toContain(token.slice(0, 20));
  });
});

describe('kept keys', () => {
  it('are files that only their owner reads, taken by all over one folder', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'orbweaver-keys-'));
    try {
      const [one, two] = [keptTokenKeys(folder), keptTokenKeys(folder)];
      expect(await one.list()).toEqual([]);
      const { token, keyId } = await createTokenSigner({ keys: one }).issue(
        { scope: 'read' },
        5000,
      );
      expect(await createTokenSigner({ keys: two }).verify(token)).toMatchObject({ scope: 'read' });
      const names = await readdir(join(folder, 'token-keys'));
      expect(names).toEqual([`${keyId}.json`]);
      if (process.platform !== 'win32') {
        const modes = [join(folder, 'token-keys'), join(folder, 'token-keys', `${keyId}.json`)].map(
          async (path) => (await stat(path)).mode & 0o777,
        );
        expect(await Promise.all(modes)).toEqual([0o700, 0o600]);
      }
      expect(await two.remove('../secrets')).toBe(false);
      expect(await two.remove(keyId)).toBe(true);
      expect(await two.remove(keyId)).toBe(false);
      expect(await one.list()).toEqual([]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
