import { X509Certificate } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect as connectPlain, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { connect as connectTls } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createSelfSigned } from '../../src/bench/certificate.js';
import { writeFreshCopy } from '../../src/bench/fresh-copy.js';
import { createLinkProxy } from '../../src/bench/link-proxy.js';

describe('the link in front of a server', () => {
  let server: Server;
  let port: number;
  beforeAll(async () => {
    // Sends back what it was sent, when it has all of it.
    server = createServer({ allowHalfOpen: true }, (socket) => {
      const pieces: Buffer[] = [];
      socket.on('data', (piece) => pieces.push(piece));
      socket.once('end', () => socket.end(Buffer.concat(pieces)));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as { port: number }).port;
  });
  afterAll(() => new Promise((resolve) => server.close(resolve)));

  const sent = 'orbweaver '.repeat(100_000);

  it('passes all bytes on in order, late and over TLS', async () => {
    const tls = await createSelfSigned();
    const proxy = await createLinkProxy({ target: () => port, oneWayMs: 2, tls });
    const host = '127.0.0.1';
    const socket = connectTls({ port: proxy.port, host, ca: tls.cert });
    socket.end(sent);
    expect((await text(socket)) === sent).toBe(true);
    expect(socket.authorized).toBe(true);
    await proxy.close();
  });

  it('passes the end of one direction on while the other goes on', async () => {
    const proxy = await createLinkProxy({ target: () => port });
    const socket = connectPlain({ port: proxy.port, host: '127.0.0.1', allowHalfOpen: true });
    socket.end(sent);
    expect((await text(socket)) === sent).toBe(true);
    await proxy.close();
  });

  it('ends the connection when there is nobody behind it', async () => {
    const proxy = await createLinkProxy({ target: () => 1, oneWayMs: 1 });
    const socket = connectPlain(proxy.port, '127.0.0.1');
    socket.on('error', () => {});
    await new Promise((resolve) => socket.once('close', resolve));
    await proxy.close();
  });
});

describe('the certificate of a measurement', () => {
  it('is for this machine only, and vouches for itself', async () => {
    const { cert, key } = await createSelfSigned();
    const parsed = new X509Certificate(cert);
    expect(parsed.subjectAltName).toBe('DNS:localhost, IP Address:127.0.0.1');
    expect(parsed.verify(parsed.publicKey)).toBe(true);
    expect(Date.parse(parsed.validTo)).toBeGreaterThan(Date.now());
    expect(Date.parse(parsed.validFrom)).toBeLessThanOrEqual(Date.now());
    expect(key).toContain('PRIVATE KEY');
    expect((await createSelfSigned()).cert).not.toBe(cert);
  });
});

describe('a fresh copy', () => {
  it('has the size of the original and a stamp in every 4 KiB, another one each time', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'orbweaver-fresh-'));
    try {
      const original = Buffer.alloc(3_000_001, 7);
      await writeFile(join(folder, 'original'), original);
      const copies: Buffer[] = [];
      for (const name of ['a', 'b']) {
        await writeFreshCopy(join(folder, 'original'), join(folder, name));
        copies.push(await readFile(join(folder, name)));
      }
      const [a, b] = copies as [Buffer, Buffer];
      expect([a.length, b.length]).toEqual([original.length, original.length]);
      for (let at = 0; at < original.length; at += 4096) {
        const block = (bytes: Buffer): Buffer => bytes.subarray(at, at + 4096);
        expect(block(a).equals(block(b)), `${at}`).toBe(false);
        expect(block(a).equals(block(original)), `${at}`).toBe(false);
        expect(a.subarray(at + 16, at + 4096).every((byte) => byte === 7)).toBe(true);
      }
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
