import { describe, expect, it } from 'vitest';
import { createMemoryStore, type StoreState } from '../../src/gateway.js';
import { createRig, type Rig } from './support/rig.js';

/** What balancers are told. */

function rigWith(states: StoreState['state'][]): Rig {
  const check = async (): Promise<StoreState> => {
    const state = states.length > 1 ? (states.shift() ?? 'ok') : (states[0] ?? 'ok');
    return { state, detail: '/srv/secret', freeBytes: null };
  };
  return createRig({ store: { ...createMemoryStore(), check } });
}

const ask = async (rig: Rig, method = 'GET'): Promise<number> =>
  (await rig.send(method, '/ready', { token: null })).status;

describe('/ready', () => {
  it.each([
    ['ok', 200],
    ['full', 503],
    ['failing', 503],
    ['read-only', 200],
  ] as const)('of a store that is %s from the beginning is %i', async (state, status) => {
    const rig = rigWith([state]);
    expect(await ask(rig)).toBe(status);
    expect(await ask(rig, 'HEAD')).toBe(status);
  });

  it('of a store that cannot be written any more is 503, while /health goes on saying 200', async () => {
    const rig = rigWith(['ok', 'read-only']);
    expect(await ask(rig)).toBe(200);
    rig.clock.advance(5000);
    expect(await ask(rig)).toBe(503);
    expect((await rig.send('GET', '/health', { token: null })).status).toBe(200);
  });

  it('is 503 from drain on, and everything else goes on until close', async () => {
    const rig = createRig();
    expect(await ask(rig)).toBe(200);
    rig.gateway.drain();
    const response = await rig.send('GET', '/ready', { token: null });
    expect(response.status).toBe(503);
    expect(await response.json()).toEqual({ ready: false, status: 'draining' });
    expect((await rig.send('GET', '/health', { token: null })).status).toBe(200);
    expect((await rig.send('GET', `/v2/reconstructions/${'a'.repeat(64)}`)).status).toBe(404);
    await rig.gateway.close();
    expect(await ask(rig)).toBe(503);
  });
});
