import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { ClientOptions } from 'orbweaver';
import * as client from 'orbweaver';
import * as bench from 'orbweaver/bench';
import * as formats from 'orbweaver/formats';
import * as gateway from 'orbweaver/gateway';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generate } from '../support/generators.js';

describe('the entry points of the package', () => {
  it('export what the README names', () => {
    expect(typeof client.createClient).toBe('function');
    expect(typeof client.chunkInput).toBe('function');
    expect(typeof gateway.startGateway).toBe('function');
    expect(typeof gateway.createGateway).toBe('function');
    expect(typeof formats.findCuts).toBe('function');
    expect(typeof formats.merkleRoot).toBe('function');
    expect(typeof formats.decodeShard).toBe('function');
    expect(typeof bench.runKernelBench).toBe('function');
  });

  it('share one class of errors', () => {
    expect(formats.OrbweaverError).toBe(client.OrbweaverError);
    expect(formats.MerkleHash).toBe(client.MerkleHash);
  });
});

describe('the client of the package', () => {
  const bytes = generate({ kind: 'floats', seed: 12, bytes: 1_500_000 });
  let folder: string;
  let running: gateway.RunningGateway;
  let ours: client.OrbweaverClient;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'orbweaver-entry-points-'));
    running = await gateway.startGateway({ data: join(folder, 'store'), port: 0, workers: 1 });
    ours = await client.createClient({
      endpoint: running.url,
      token: running.writeToken,
      workers: 1,
      maxMemory: 16 << 20,
    });
  });

  afterAll(async () => {
    await ours?.close();
    await running?.close();
    await rm(folder, { recursive: true, force: true });
  });

  it('gives every kind of input the same hash, in one session that stores it once', async () => {
    async function* pieces(): AsyncGenerator<Uint8Array> {
      for (let at = 0; at < bytes.length; at += 70_001) yield bytes.subarray(at, at + 70_001);
    }
    const result = await ours.upload(
      [
        bytes,
        new Blob([bytes]),
        Readable.from(pieces()),
        new Blob([bytes]).stream(),
        { name: 'named', data: pieces() },
      ],
      { sha256: true },
    );
    expect(result.failed).toEqual([]);
    expect(new Set(result.files.map((file) => file.fileHash)).size).toBe(1);
    expect(new Set(result.files.map((file) => file.sha256)).size).toBe(1);
    expect(result.files.reduce((sum, file) => sum + file.newBytes, 0)).toBe(bytes.length);
    expect(result.files[4]?.path).toBe('named');
    const { fileHash } = await client.chunkInput(bytes);
    expect(result.files[0]?.fileHash).toBe(fileHash);
  });

  it('streams a file and a range of it, and ends a stream that is left early', async () => {
    const [file] = (await ours.upload(bytes)).files;
    const hash = file?.fileHash ?? '';
    const whole = await collect(ours.stream(hash));
    expect(whole.equals(bytes)).toBe(true);
    const part = await collect(ours.stream(hash, { offset: 777_777, length: 12_345 }));
    expect(part.equals(bytes.subarray(777_777, 790_122))).toBe(true);
    for await (const piece of ours.stream(hash)) {
      expect((piece as Buffer).length).toBeGreaterThan(0);
      break;
    }
  });

  it('cancels one of two transfers and leaves the other alone', async () => {
    const cancel = new AbortController();
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (let pieces = 0; ; pieces++) {
        if (pieces === 64) cancel.abort();
        yield new Uint8Array(65_536);
      }
    }
    const stopped = ours.upload({ name: 'endless', data: endless() }, { signal: cancel.signal });
    const other = ours.upload(generate({ kind: 'splitmix64', seed: 5, bytes: 500_000 }));
    await expect(stopped).rejects.toMatchObject({ code: 'ABORTED' });
    expect((await other).files[0]?.sizeBytes).toBe(500_000);
  });

  it('refuses what cannot be meant, at once', async () => {
    for (const [endpoint, text] of [
      ['nonsense', /got "nonsense"; did you mean http:\/\/nonsense\?$/],
      ['127.0.0.1:80', /got "127.0.0.1:80"; did you mean http:\/\/127.0.0.1:80\?$/],
      ['', /got ""$/],
      ['ftp://me:word@host/x?key', /got "\*\*\*@host\/x\?\*\*\*"$/],
      ['http://me:word@host/', /got more than http:\/\/host\/; the token is an option/],
      [undefined, /expected the URL of a store such as https:.* got undefined$/],
      [7, /got 7$/],
    ] as const) {
      const made = client.createClient({ endpoint: endpoint as string });
      await expect(made, String(endpoint)).rejects.toThrow(TypeError);
      await expect(made, String(endpoint)).rejects.toThrow(text);
    }
    const dry = await client.createClient();
    await expect(dry.upload(new Uint8Array(9))).rejects.toThrow(/expected an endpoint/);
    expect((await dry.upload(new Uint8Array(9), { dryRun: true })).files).toHaveLength(1);
    await dry.close();
    await expect(client.createClient({ endpoint: null, maxMemory: 1 })).rejects.toThrow(RangeError);
    for (const options of [
      { tokn: 'x' },
      { retry: { retrys: 1 } },
      { retry: { retries: '1' } },
      { headers: 'x' },
      { onRetry: 3 },
      { stallTimeoutMs: Number.NaN },
    ]) {
      const made = client.createClient({ endpoint: null, ...options } as ClientOptions);
      await expect(made).rejects.toThrow(TypeError);
      await expect(made).rejects.not.toThrow(/^"endpoint"/);
    }
    for (const options of [{ placement: 'best' }, { workers: 1000 }, { tier: 'fast' }]) {
      const made = client.createClient({ endpoint: null, ...options } as ClientOptions);
      await expect(made).rejects.toThrow(RangeError);
    }
    await expect(ours.upload(bytes, { sha265: true } as object)).rejects.toThrow(
      /"sha265" is no option of upload/,
    );
    await expect(ours.download('abc', undefined as unknown as { to: string })).rejects.toThrow(
      /"options" of download expected an object/,
    );
    expect(() => ours.stream('abc', { offset: -1 })).toThrow(RangeError);
    await expect(client.chunkInput(bytes, { tire: 'simd' } as object)).rejects.toThrow(TypeError);
    await expect(ours.download('abc', { to: join(folder, 'x') })).rejects.toMatchObject({
      code: 'HASH_INVALID',
    });
    const alone = await client.createClient({ endpoint: null });
    await expect(alone.upload(bytes)).rejects.toMatchObject({ code: 'USAGE' });
    expect((await alone.upload(bytes, { dryRun: true })).files[0]?.newBytes).toBe(bytes.length);
    await alone.close();
  });
});

describe('options of a client', () => {
  it('reach the requests: headers, session, user agent, retries', async () => {
    const seen: IncomingMessage[] = [];
    const server = createServer((request, response) => {
      seen.push(request);
      response.writeHead(503).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const retried: string[] = [];
    const ours = await client.createClient({
      endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      workers: 0,
      headers: { 'x-team': 'storage' },
      sessionId: 'session-7',
      userAgent: 'tests/1',
      retry: { retries: 2, baseDelayMs: 0 },
      stallTimeoutMs: undefined,
      onRetry: ({ code }) => retried.push(code),
    });
    try {
      const download = ours.download('a'.repeat(64), { to: join(tmpdir(), 'never') });
      await expect(download).rejects.toMatchObject({ code: 'SERVER_ERROR' });
      expect(seen.length % 3).toBe(0);
      expect(retried.length).toBe((seen.length / 3) * 2);
      for (const { headers } of seen) {
        expect(headers).toMatchObject({
          'x-team': 'storage',
          'x-xet-session-id': 'session-7',
          'user-agent': 'tests/1',
        });
      }
    } finally {
      await ours.close();
      server.closeAllConnections();
      server.close();
    }
  });

  it('of kernels: a client says why it has not the fastest ones', async () => {
    const fast = await client.createClient({ endpoint: null, workers: 0 });
    const asked = await client.createClient({ endpoint: null, workers: 0, tier: 'readable' });
    expect([fast.fallbackReason, asked.fallbackReason]).toEqual([null, null]);
    await Promise.all([fast.close(), asked.close()]);
  });
});

describe('a client that was closed', () => {
  it('refuses what is asked of it, and may be closed again', async () => {
    const ours = await client.createClient({ endpoint: null, workers: 0 });
    await Promise.all([ours.close(), ours.close()]);
    const closed = { code: 'CLOSED' };
    await expect(ours.upload(new Uint8Array(3), { dryRun: true })).rejects.toMatchObject(closed);
    await expect(ours.download('a'.repeat(64), { to: 'x' })).rejects.toMatchObject(closed);
  });
});

describe('a file', () => {
  it('may be named by a URL', async () => {
    const ours = await client.createClient({ endpoint: null, workers: 0 });
    const input = new URL(import.meta.url);
    const { files } = await ours.upload([input, import.meta.filename], { dryRun: true });
    expect(files[0]?.path).toBe(import.meta.filename);
    expect(files[0]?.fileHash).toBe(files[1]?.fileHash);
    expect((await client.chunkInput(input)).fileHash).toBe(files[0]?.fileHash);
    await ours.close();
  });
});

async function collect(stream: Readable): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}
