import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { buildXorb, randomChunks } from '../gateway/support/rig.js';
import { type Served, serve } from './run-binary.js';

/** How a gateway stops, seen from outside of its process. */

vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 });

const xorb = buildXorb(randomChunks(5, [40_000]));

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-drain-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

function started(name: string, ...args: string[]): Promise<Served> {
  const data = join(folder, name);
  return serve(['--data', data, '--port', '0', '--workers', '0', '--token', 'both', ...args]);
}

/** An upload whose second half waits; resolves when the gateway reads it. */
async function halfSent(url: string): Promise<ClientRequest> {
  const sending = request(`${url}/v1/xorbs/default/${xorb.hash}`, {
    method: 'POST',
    headers: {
      authorization: 'Bearer both',
      'content-length': String(xorb.bytes.length),
      expect: '100-continue',
    },
  });
  sending.on('error', () => undefined);
  sending.flushHeaders();
  await once(sending, 'continue');
  sending.write(xorb.bytes.subarray(0, 1000));
  return sending;
}

async function finish(sending: ClientRequest): Promise<IncomingMessage> {
  const response = once(sending, 'response') as Promise<[IncomingMessage]>;
  sending.end(xorb.bytes.subarray(1000));
  const [head] = await response;
  head.resume();
  return head;
}

/** Asks anew, on a connection of its own each time, until the status is another one. */
async function readyUntil(url: string, status: number | 'refused'): Promise<void> {
  for (;;) {
    const asked = request(`${url}/ready`, { agent: false });
    asked.end();
    const got = await new Promise<number | 'refused'>((resolve) => {
      asked.once('response', (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      asked.once('error', () => resolve('refused'));
    });
    if (got === status) return;
  }
}

describe('serve, told to stop', () => {
  it('refuses what is new, finishes what is in flight, and exits with 0', async () => {
    const serving = await started('one');
    await readyUntil(serving.url, 200);
    const sending = await halfSent(serving.url);
    serving.child.kill('SIGTERM');
    await readyUntil(serving.url, 'refused');
    const response = await finish(sending);
    expect(response.statusCode).toBe(200);
    expect(await serving.ended).toEqual([0, null]);
  });

  it('says 503 at /ready and serves on for --drain-delay, until a second signal ends it', async () => {
    const serving = await started('two', '--drain-delay', '600');
    serving.child.kill('SIGTERM');
    await readyUntil(serving.url, 503);
    expect((await finish(await halfSent(serving.url))).statusCode).toBe(200);
    const { status, headers } = await fetch(`${serving.url}/health`);
    expect([status, headers.get('connection')]).toEqual([200, 'close']);
    serving.child.kill('SIGTERM');
    expect(await serving.ended).toEqual([null, 'SIGTERM']);
  });

  it('cuts what is not finished after --drain, says so, and exits with 0', async () => {
    const serving = await started('three', '--drain', '0');
    const sending = await halfSent(serving.url);
    const cut = new Promise((resolve) => sending.once('close', resolve));
    serving.child.kill('SIGTERM');
    await cut;
    expect(await serving.ended).toEqual([0, null]);
    expect(serving.stderr()).toMatch(/warn {2}connections with unfinished requests were cut: 1\n/);
  });
});
