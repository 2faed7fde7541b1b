import { mkdtemp, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, type Readable } from 'node:stream';
import * as client from 'orbweaver';
import * as gateway from 'orbweaver/gateway';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generate } from '../support/generators.js';

/** Through the package, a gateway and real threads. */

const ZERO_BYTES = 24 << 20;

let folder: string;
let running: gateway.RunningGateway;
let ours: client.OrbweaverClient;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'orbweaver-download-'));
  running = await gateway.startGateway({ data: join(folder, 'store'), port: 0, workers: 0 });
  // The smallest memory there is: eight slabs.
  ours = await client.createClient({
    endpoint: running.url,
    token: running.writeToken,
    workers: 1,
    maxMemory: 4 << 20,
  });
});

afterAll(async () => {
  await ours?.close();
  await running?.close();
  await rm(folder, { recursive: true, force: true });
});

async function store(bytes: Uint8Array): Promise<string> {
  const { files } = await ours.upload(bytes);
  return files[0]?.fileHash as string;
}

async function readAll(stream: Readable): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

/** Blocks of 512 bytes that a file of so many zeros takes when nothing was written. */
async function blocksOfHole(sizeBytes: number): Promise<number> {
  const path = join(folder, 'hole');
  const file = await open(path, 'w');
  await file.truncate(sizeBytes);
  await file.close();
  return (await stat(path)).blocks;
}

describe('downloads of the client', () => {
  it('are not stopped by streams that nobody reads, nor are uploads', async () => {
    const inputs = [1, 2, 3, 4].map((seed) =>
      generate({ kind: 'splitmix64', seed, bytes: 9_000_000 }),
    );
    const hashes = [];
    for (const input of inputs) hashes.push(await store(input));
    const streams = hashes.map((hash) => ours.stream(hash));
    const first = [];
    for (const stream of streams.slice(0, 3)) {
      // Paused in the event itself: after it, the next waiting piece would go to nobody.
      const piece = new Promise<Buffer>((resolve) => {
        stream.once('data', (bytes: Buffer) => {
          stream.pause();
          resolve(bytes);
        });
      });
      first.push(await piece);
    }
    const last = await readAll(streams[3] as Readable);
    expect(Buffer.compare(last, inputs[3] as Uint8Array)).toBe(0);
    await store(generate({ kind: 'splitmix64', seed: 9, bytes: 3_000_000 }));
    for (const [i, piece] of first.entries()) {
      const rest = await readAll(streams[i] as Readable);
      expect(Buffer.compare(Buffer.concat([piece, rest]), inputs[i] as Uint8Array)).toBe(0);
    }
  });

  it('say whether they are verified', async () => {
    const hash = await store(generate({ kind: 'splitmix64', seed: 20, bytes: 500_000 }));
    const to = join(folder, 'out');
    expect(await ours.download(hash, { to })).toMatchObject({ verified: true });
    expect(await ours.download(hash, { to, offset: 0 })).toMatchObject({ verified: true });
    const part = await ours.download(hash, { to, offset: 100, length: 1000 });
    expect(part).toMatchObject({ verified: true, sizeBytes: 1000 });
    const range = { to, offset: 100, length: 1000, verifyRange: 'off' } as const;
    expect(await ours.download(hash, range)).toMatchObject({ verified: false, sizeBytes: 1000 });
  });

  it('fail when the reader of a stream goes away', async () => {
    const hash = await store(generate({ kind: 'splitmix64', seed: 21, bytes: 5_000_000 }));
    const to = new PassThrough();
    to.once('data', () => to.destroy());
    await expect(ours.download(hash, { to })).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
  });

  it('write long runs of zeros as holes', async ({ skip }) => {
    const holeBlocks = await blocksOfHole(ZERO_BYTES);
    if (holeBlocks > 100) skip('this file system has no holes');
    const bytes = new Uint8Array(ZERO_BYTES);
    bytes.fill(7, 5_000_000, 5_100_000);
    const to = join(folder, 'zeros');
    const result = await ours.download(await store(bytes), { to });
    expect(result).toMatchObject({ sizeBytes: ZERO_BYTES, verified: true });
    expect(Buffer.compare(await readFile(to), bytes)).toBe(0);
    // What is not zeros, and the chunks that it shares with zeros.
    expect((await stat(to)).blocks * 512).toBeLessThan(1_000_000);
    expect((await readdir(folder)).filter((name) => name.includes('part'))).toEqual([]);
  });
});
