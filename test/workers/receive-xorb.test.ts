import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Slab } from '../../src/client/ports.js';
import { createReadableCodec } from '../../src/compress/index.js';
import { OrbweaverError } from '../../src/errors.js';
import { createReadableBlake3 } from '../../src/hash/index.js';
import { piecesBody } from '../../src/http/index.js';
import { type ReceiveHost, receiveXorbInPool } from '../../src/workers/receive-xorb.js';
import { encodeFooter, type VerifiedXorb, verifyXorb, XorbBuilder } from '../../src/xorb/index.js';
import { generate } from '../support/generators.js';
import { slabOf } from '../support/slab.js';

const hasher = createReadableBlake3();
const codec = createReadableCodec();
/** The smallest that a pool has; longer than any record. */
const SLAB_BYTES = 512 * 1024;

/** A pool of plain memory that counts what is borrowed from it. */
function createHost(slabCount = 3) {
  const free = Array.from({ length: slabCount }, () => new Uint8Array(SLAB_BYTES));
  const waiting: (() => void)[] = [];
  const host = {
    threads: 1,
    hasher,
    borrowedCount: 0,
    mostBorrowed: 0,
    failAt: Number.POSITIVE_INFINITY,
    taskCount: 0,
    async acquire(): Promise<Slab[]> {
      while (free.length === 0) await new Promise<void>((resolve) => waiting.push(resolve));
      const bytes = free.pop() as Uint8Array<ArrayBuffer>;
      bytes.fill(0xee);
      host.borrowedCount++;
      host.mostBorrowed = Math.max(host.mostBorrowed, host.borrowedCount);
      const giveBack = (): void => {
        host.borrowedCount--;
        free.push(bytes);
        waiting.shift()?.();
      };
      return [slabOf(bytes, giveBack)];
    },
    async verifyRecords(slab: Slab, start: number, end: number): Promise<Uint8Array> {
      await new Promise((resolve) => setImmediate(resolve));
      if (host.taskCount++ >= host.failAt) throw new OrbweaverError('WORKER_FAILED', 'it died');
      return verifyXorb({ codec, hasher }, slab.bytes.subarray(start, end)).chunkHashes;
    },
  };
  return host satisfies ReceiveHost;
}

const builder = new XorbBuilder({ codec, hasher });
for (let i = 0; i < 14; i++) {
  const kind = i % 3 === 0 ? 'words' : 'splitmix64';
  builder.add(generate({ kind, seed: i, bytes: [131_072, 8192, 100_000][i % 3] as number }));
}
const built = builder.finish() as NonNullable<ReturnType<typeof builder.finish>>;
const records = built.bytes;

async function* cut(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length] as number;
    yield bytes.slice(at, at + size);
    at += size;
  }
}

async function receive(
  host: ReceiveHost,
  pieces: AsyncIterable<Uint8Array>,
): Promise<{ verified: VerifiedXorb; given: Buffer }> {
  const steps = receiveXorbInPool(host, piecesBody(pieces));
  const given: Uint8Array[] = [];
  while (true) {
    const step = await steps.next();
    if (step.done === true) return { verified: step.value, given: Buffer.concat(given) };
    given.push(step.value.slice());
  }
}

describe('a xorb that is verified while it arrives', () => {
  it('gives the same for every cut of the body, with and without a footer', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 300_000 }), { minLength: 1, maxLength: 5 }),
        fc.constantFrom(0, 7, 8, 100, 1_000_000),
        async (sizes, footerBytes) => {
          fc.pre(sizes.some((size) => size > 500));
          const footer = encodeFooter(built).subarray(0, footerBytes);
          const host = createHost();
          const body = Buffer.concat([records, footer]);
          const { verified, given } = await receive(host, cut(body, sizes));
          expect(given.equals(records)).toBe(true);
          expect(verified.hash.equals(built.hash)).toBe(true);
          expect(verified.recordsBytes).toBe(records.length);
          expect(verified.recordEnds).toEqual(built.recordEnds);
          expect(verified.rawEnds).toEqual(built.rawEnds);
          expect(Buffer.compare(verified.chunkHashes, built.chunkHashes)).toBe(0);
          expect(host.borrowedCount).toBe(0);
        },
      ),
      { numRuns: 25, seed: 5 },
    );
  });

  it('fails as the whole in memory does, wherever it is cut off or changed', async () => {
    const codeOf = async (run: () => unknown): Promise<unknown> => {
      try {
        await run();
        return null;
      } catch (error) {
        const { code, message } = error as OrbweaverError;
        return `${code}: ${message}`;
      }
    };
    const second = built.recordEnds[0] as number;
    const bodies: Uint8Array[] = [
      new Uint8Array(0),
      ...[1, 7, 8, 100, second, second + 3, second + 8, records.length - 1].map((end) =>
        records.subarray(0, end),
      ),
      ...[0, 1, 3, 4, 5, 6, 7].map((at) => {
        const changed = records.slice();
        changed[second + at] = 0xff;
        return changed;
      }),
      Buffer.concat([records, Uint8Array.of(0, 0, 0)]),
      encodeFooter(built),
    ];
    for (const body of bodies) {
      const host = createHost();
      const expected = await codeOf(() => verifyXorb({ codec, hasher }, body));
      expect(await codeOf(() => receive(host, cut(body, [64_000])))).toBe(expected);
      expect(host.borrowedCount).toBe(0);
    }
  });

  it('ends with the error of a thread, and gives all memory back', async () => {
    for (const failAt of [0, 1]) {
      const host = createHost();
      host.failAt = failAt;
      await expect(receive(host, cut(records, [60_000]))).rejects.toMatchObject({
        code: 'WORKER_FAILED',
      });
      expect(host.borrowedCount).toBe(0);
    }
  });

  it('ends with a body that breaks off, and gives all memory back', async () => {
    const host = createHost();
    const broken = (async function* () {
      yield* cut(records.subarray(0, 700_000), [60_000]);
      throw new Error('the client is gone');
    })();
    await expect(receive(host, broken)).rejects.toThrow('the client is gone');
    expect(host.borrowedCount).toBe(0);
  });

  it('ends when nobody wants the rest, and gives all memory back', async () => {
    const host = createHost();
    const body = piecesBody(cut(records, [60_000]));
    for await (const _piece of receiveXorbInPool(host, body)) break;
    expect(host.borrowedCount).toBe(0);
  });

  it('takes no more than what is filled and two per thread, and more uploads than slabs end', async () => {
    const alone = createHost(10);
    await receive(alone, cut(records, [60_000]));
    expect(alone.mostBorrowed).toBeLessThanOrEqual(3);
    const shared = createHost(2);
    const all = Array.from({ length: 6 }, () => receive(shared, cut(records, [60_000])));
    for (const { verified } of await Promise.all(all)) {
      expect(verified.hash.equals(built.hash)).toBe(true);
    }
    expect(shared.borrowedCount).toBe(0);
  });

  it('refuses more than any xorb has, before it is held', async () => {
    const host = createHost(10);
    const piece = new Uint8Array(131_080);
    piece.set([0, 0, 0, 2, 0, 0, 0, 2]);
    const endless = (async function* () {
      while (true) yield piece;
    })();
    await expect(receive(host, endless)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    expect(host.borrowedCount).toBe(0);
  }, 60_000);
});
