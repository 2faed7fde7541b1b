import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { bodyOfRequest } from '../../src/gateway/node-body.js';
import { incomingOf } from '../../src/gateway/node-listener.js';
import type { Incoming } from '../../src/gateway/node-request.js';
import type { Body } from '../../src/http/index.js';
import { createFreeBytes } from '../../src/platform/index.js';
import { generate } from '../support/generators.js';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

interface Sent {
  readonly socket: Socket;
  readonly incoming: Incoming;
  readonly body: Body;
}

/** A request of so many bytes whose head has arrived at a server. */
async function send(length: number): Promise<Sent> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const arrived = new Promise<Incoming>((resolve) => {
    server.once('request', (request: IncomingMessage, response) =>
      resolve(incomingOf(request, response, false, createFreeBytes())),
    );
  });
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  socket.on('error', () => undefined);
  closing.push(() => {
    socket.destroy();
    server.closeAllConnections();
    server.close();
  });
  socket.write(`POST / HTTP/1.1\r\nHost: x\r\nContent-Length: ${length}\r\n\r\n`);
  const incoming = await arrived;
  return { socket, incoming, body: bodyOfRequest(incoming) };
}

describe('the body of a request', () => {
  const bytes = generate({ kind: 'splitmix64', seed: 3, bytes: 3_000_000 });

  it('is the same for every mixture of reads, into memory of any size', async () => {
    const { socket, body } = await send(bytes.length);
    socket.write(bytes);
    const got: Buffer[] = [];
    const sizes = [1, 70_000, 5, 1_000_000, 16_384, 200_001];
    for (let turn = 0; ; turn++) {
      const into = new Uint8Array(sizes[turn % sizes.length] as number);
      const piece = turn % 7 === 3 ? await body.take?.() : into.subarray(0, await body.fill(into));
      if (piece === undefined || piece.length === 0) break;
      got.push(Buffer.from(piece));
    }
    expect(Buffer.concat(got).equals(bytes)).toBe(true);
    expect(await body.fill(new Uint8Array(8))).toBe(0);
  });

  it('is written into shared memory', async () => {
    const { socket, body } = await send(bytes.length);
    socket.write(bytes);
    const into = new Uint8Array(new SharedArrayBuffer(bytes.length));
    for (let at = 0; at < into.length; ) at += await body.fill(into.subarray(at));
    expect(Buffer.from(into).equals(bytes)).toBe(true);
  });

  it('is given as soon as some of it is there, and one that waits is no end', async () => {
    const { socket, incoming, body } = await send(10);
    for (const part of ['abc', 'd', 'efghij']) {
      const into = new Uint8Array(part === 'd' ? 1 : 100);
      const reading = body.fill(into);
      expect(incoming.waitsForClient).toBe(true);
      await nextTurn();
      socket.write(part);
      expect(await reading).toBe(part.length);
      expect(Buffer.from(into.subarray(0, part.length)).toString()).toBe(part);
    }
    expect(await body.fill(new Uint8Array(1))).toBe(0);
  });

  it('that breaks off gives what came, and then fails', async () => {
    const { socket, body } = await send(10);
    const into = new Uint8Array(10);
    const reading = body.fill(into);
    socket.write('abc', () => socket.destroy());
    expect(await reading).toBe(3);
    await expect(body.fill(into)).rejects.toThrow('the client is gone');
    await expect(body.take?.()).rejects.toThrow('the client is gone');
  });

  it('writes nothing any more once it is cancelled', async () => {
    const { socket, body } = await send(100_000);
    const into = new Uint8Array(100_000);
    const reading = body.fill(into);
    body.cancel();
    await expect(reading).rejects.toThrow('nobody reads');
    await new Promise<void>((resolve) => socket.write(Buffer.alloc(100_000, 1), () => resolve()));
    for (let turn = 0; turn < 20; turn++) await nextTurn();
    expect(into.every((byte) => byte === 0)).toBe(true);
  });
});
