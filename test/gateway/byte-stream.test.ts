import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { byteStreamOf } from '../../src/gateway/byte-stream.js';
import { type BodyPart, objectBody } from '../../src/gateway/object-body.js';
import type { ObjectReader } from '../../src/gateway/ports.js';

const object = Uint8Array.from({ length: 5000 }, (_, i) => (i * 7 + (i >> 8)) & 255);

function readerOf(): ObjectReader & { closedCount: number; failAt: number } {
  const reader = {
    closedCount: 0,
    failAt: Number.POSITIVE_INFINITY,
    async readAt(into: Uint8Array, offset: number): Promise<void> {
      await new Promise((resolve) => setImmediate(resolve));
      if (offset + into.length > reader.failAt) throw new Error('the disk broke');
      into.set(object.subarray(offset, offset + into.length));
    },
    async close(): Promise<void> {
      reader.closedCount++;
    },
  };
  return reader;
}

function bytesOf(parts: readonly BodyPart[]): Uint8Array {
  return Buffer.concat(
    parts.map((part) =>
      part instanceof Uint8Array ? part : object.subarray(part.start, part.end),
    ),
  );
}

async function readWith(
  stream: ReadableStream<Uint8Array>,
  bufferBytes: () => number,
): Promise<Uint8Array> {
  const reader = stream.getReader({ mode: 'byob' });
  const pieces: Uint8Array[] = [];
  while (true) {
    const step = await reader.read(new Uint8Array(bufferBytes()));
    if (step.done) return Buffer.concat(pieces);
    pieces.push(step.value.slice());
  }
}

const partArb = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc
    .tuple(fc.integer({ min: 0, max: object.length }), fc.integer({ min: 0, max: 2000 }))
    .map(([start, length]) => ({ start, end: Math.min(object.length, start + length) })),
);

describe('a body of ranges and bytes', () => {
  it('is the same for every way to read it, and closes the object', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(partArb, { maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 1500 }), { minLength: 1, maxLength: 4 }),
        async (parts, sizes) => {
          const expected = bytesOf(parts);
          const object = readerOf();
          const make = () =>
            byteStreamOf(objectBody({ parts, open: async () => object, report: () => undefined }));
          let turn = 0;
          const size = (): number => sizes[turn++ % sizes.length] as number;
          expect(Buffer.compare(await readWith(make(), size), expected)).toBe(0);
          const closed = object.closedCount;
          expect(closed).toBeLessThanOrEqual(1);
          const whole = new Uint8Array(await new Response(make()).arrayBuffer());
          expect(Buffer.compare(whole, expected)).toBe(0);
          expect(object.closedCount).toBe(2 * closed);
        },
      ),
      { numRuns: 60, seed: 11 },
    );
  });

  it('opens nothing before it is read', async () => {
    let opened = 0;
    const stream = byteStreamOf(
      objectBody({
        parts: [{ start: 0, end: 10 }],
        open: async () => {
          opened++;
          return readerOf();
        },
        report: () => undefined,
      }),
    );
    await new Promise((resolve) => setImmediate(resolve));
    expect(opened).toBe(0);
    await stream.cancel();
    expect(opened).toBe(0);
  });

  it('reports what breaks on the way, once, and closes the object', async () => {
    const faults: unknown[] = [];
    const object = readerOf();
    object.failAt = 1000;
    const stream = byteStreamOf(
      objectBody({
        parts: [{ start: 0, end: 3000 }],
        open: async () => object,
        report: (error) => faults.push(error),
      }),
    );
    await expect(readWith(stream, () => 700)).rejects.toThrow('the disk broke');
    expect(faults.length).toBe(1);
    expect(object.closedCount).toBe(1);
  });

  it('reports nothing when its reader went away during a read', async () => {
    const faults: unknown[] = [];
    const object = readerOf();
    let isOpened = (): void => undefined;
    const opened = new Promise<void>((resolve) => {
      isOpened = resolve;
    });
    const stream = byteStreamOf(
      objectBody({
        parts: [{ start: 0, end: 3000 }],
        open: async () => {
          isOpened();
          return object;
        },
        report: (error) => faults.push(error),
      }),
    );
    const reader = stream.getReader({ mode: 'byob' });
    const reading = reader.read(new Uint8Array(100));
    await opened;
    await reader.cancel();
    await reading;
    await new Promise((resolve) => setImmediate(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    expect(faults).toEqual([]);
    expect(object.closedCount).toBe(1);
  });
});
