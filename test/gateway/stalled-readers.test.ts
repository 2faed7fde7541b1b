import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { createNodeServer, type NodeServer } from '../../src/gateway/index.js';
import { createSendBuffers } from '../../src/gateway/node-response.js';
import type { Body } from '../../src/http/index.js';

/** Readers that take nothing, and processes that would like to end. */

let server: NodeServer | null = null;
const sockets: Socket[] = [];
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy();
  await server?.close();
  server = null;
});

const READERS = 200;
/** More than the buffers of the system for one connection. */
const SIZE_BYTES = 256 * 1024 * 1024;

describe('readers that take nothing', () => {
  it(`(${READERS}) hold two large buffers each up to 32 of them, and small ones from there on`, async () => {
    let openCount = 0;
    /** The buffers that each body was asked to fill. */
    const buffers = new Set<ArrayBufferLike>();
    const bodyOf = (): Body => {
      openCount++;
      return {
        sizeBytes: SIZE_BYTES,
        async fill(into) {
          buffers.add(into.buffer);
          return into.length;
        },
        cancel: () => undefined,
      };
    };
    const exchange = async () => ({
      status: 200,
      headers: { 'content-length': String(SIZE_BYTES) },
      body: bodyOf(),
    });
    server = await createNodeServer({ mount: () => exchange }, { port: 0, drainMs: 0 });
    for (let reader = 0; reader < READERS; reader++) {
      const socket = connect(server.port, server.host);
      socket.on('error', () => undefined);
      socket.pause();
      socket.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n');
      sockets.push(socket);
    }
    // Until all are in and nothing is filled any more.
    for (let before = -1; openCount < READERS || buffers.size !== before; ) {
      before = buffers.size;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    let heldBytes = 0;
    for (const buffer of buffers) heldBytes += buffer.byteLength;
    expect(heldBytes).toBeGreaterThan(0);
    expect(heldBytes).toBeLessThanOrEqual(64 * 512 * 1024 + 2 * READERS * 32 * 1024);
  });

  it('give their buffers back: the next one has a large one again', () => {
    const pool = createSendBuffers();
    const taken = Array.from({ length: 100 }, () => pool.take());
    const large = taken.filter((buffer) => buffer.length === 512 * 1024);
    expect(large).toHaveLength(64);
    for (const buffer of taken) pool.giveBack(buffer, true);
    expect(pool.take().length).toBe(512 * 1024);
  });
});

describe('a process that read from a store', () => {
  it('and did not close it ends at once', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'orbweaver-unclosed-'));
    const program = `
      import { mkdtemp } from 'node:fs/promises';
      import { createDiskStore } from 'orbweaver/gateway';
      const store = await createDiskStore(await mkdtemp(process.argv[1]), { sync: false });
      await store.put('xorbs/abc', new Uint8Array(3));
      const reader = await store.open('xorbs/abc');
      await reader.close();
      console.log(process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length);
    `;
    const child = spawn(process.execPath, [
      '--input-type=module',
      '-e',
      program,
      join(folder, 'x'),
    ]);
    let out = '';
    child.stdout.on('data', (text) => {
      out += text;
    });
    const code = await new Promise((resolve) => child.on('close', resolve));
    // Timers that keep the process alive are listed, those that do not are not.
    await rm(folder, { recursive: true, force: true });
    expect([out, code]).toEqual(['0\n', 0]);
  });
});
