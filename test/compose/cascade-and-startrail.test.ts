import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { commandWallet } from '../../src/compose/command-wallet.js';
import { createTarget, type TargetParts } from '../../src/compose/target-factories.js';
import { startTargetServer } from '../../src/compose/target-server.js';
import type { BurnPayment } from '../../src/transport/targets.js';
import { failureOf } from '../targets/cascade-kit.js';
import { impatientClock } from '../targets/support.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-wallet-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function program(name: string, body: string): Promise<string> {
  const path = join(folder, name);
  await writeFile(path, `#!/bin/sh\n${body}\n`);
  await chmod(path, 0o755);
  return path;
}

const payment: BurnPayment = {
  amount: '12.1',
  index: 1,
  count: 3,
  fileId: 'NwWDvdIg',
  reference: 'NwWDvdIg-1',
  signal: new AbortController().signal,
};

describe('a wallet that is a program', () => {
  it('gets amount, reference, file, index and count, and prints a transaction', async () => {
    const payCommand = await program('pay', 'echo "$1 $2 $3 $4 $5"');
    const { payBurn } = commandWallet({ payCommand });
    expect(await payBurn(payment)).toBe('12.1 NwWDvdIg-1 NwWDvdIg 1 3');
  });

  it('declines by exit code 3, or by not being there; anything else is open', async () => {
    const declines = commandWallet({ payCommand: await program('no', 'exit 3') });
    expect((await failureOf(declines.payBurn(payment))).code).toBe('PAYMENT_REQUIRED');
    const missing = commandWallet({ payCommand: join(folder, 'nothing') });
    expect((await failureOf(missing.payBurn(payment))).code).toBe('PAYMENT_REQUIRED');
    const none = commandWallet({});
    expect((await failureOf(none.payBurn(payment))).code).toBe('PAYMENT_REQUIRED');
    const fails = commandWallet({ payCommand: await program('fails', 'exit 1') });
    expect((await failureOf(fails.payBurn(payment))).code).not.toBe('PAYMENT_REQUIRED');
  });

  it('that looks says no by printing nothing, and is not there unless it is named', async () => {
    const found = commandWallet({ findCommand: await program('find', 'echo found') });
    expect(await found.findBurn?.(payment)).toBe('found');
    const nothing = commandWallet({ findCommand: await program('none', 'true') });
    expect(await nothing.findBurn?.(payment)).toBeNull();
    expect(commandWallet({}).findBurn).toBeUndefined();
  });
});

describe('targets by their settings', () => {
  const parts = (settings: Record<string, string>): TargetParts => ({
    exchange: async () => ({ status: 500, headers: {}, body: null }),
    clock: impatientClock(),
    random: () => 0.5,
    url: 'https://node.example',
    token: 'two words',
    settings,
  });

  it('cascade needs a PastelID and a yes to its cost', () => {
    const pastelId = 'j'.repeat(86);
    const make = (settings: Record<string, string>) => () =>
      createTarget('cascade', parts(settings));
    expect(make({ acceptCost: 'true' })).toThrow(/pastelId/);
    expect(make({ pastelId })).toThrow(/acceptCost/);
    expect(make({ pastelId, acceptCost: 'true', pay: 'x' })).toThrow(/settings out of/);
    expect(make({ pastelId, acceptCost: 'true' })().kind).toBe('cascade');
  });

  it('startrail needs an issuer', () => {
    const issuer = `0x${'0'.repeat(40)}`;
    const make = (settings: Record<string, string>) => () =>
      createTarget('startrail', { ...parts(settings), token: 'key' });
    expect(make({})).toThrow(/issuer/);
    expect(make({ issuer, category: 'picture' })).toThrow(/category/);
    expect(make({ issuer, category: 'artwork' })().kind).toBe('startrail');
  });
});

describe('servers that are started by hand', () => {
  it('say URL, credentials and settings, and take faults', async () => {
    const cascade = await startTargetServer('cascade', {
      token: 'two words',
      faults: [{ wrongHash: true }, { failDetails: 1 }],
    });
    const metadata = await startTargetServer('metadata', { token: 'key' });
    try {
      expect(cascade).toMatchObject({ to: `cascade:${cascade.url}`, token: 'two words' });
      expect(cascade.settings?.['pastelId']).toMatch(/^[A-Za-z0-9]{86}$/);
      const api = `${cascade.url}/openapi/cascade/registration_details/NwWDvdIg`;
      expect((await fetch(api)).status).toBe(500);
      expect((await fetch(api)).status).toBe(201);
      const set = await fetch(`${cascade.url}/test/faults`, {
        method: 'POST',
        body: JSON.stringify({ wrongHash: null, stuckFinalizing: true }),
      });
      expect(await set.json()).toEqual({ failDetails: 0, stuckFinalizing: true });
      expect(await (await fetch(`${cascade.url}/test/counts`)).json()).toMatchObject({ starts: 0 });
      expect(metadata).toMatchObject({ to: `startrail:${metadata.url}`, token: 'key' });
      expect(metadata.settings?.['issuer']).toMatch(/^0x[0-9a-f]{40}$/);
    } finally {
      await cascade.close();
      await metadata.close();
    }
  });
});
