import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ObjectReader } from '../../src/gateway/index.js';
import { type BodyPart, objectBody } from '../../src/gateway/object-body.js';
import { webBody } from '../../src/gateway/web.js';
import type { Body } from '../../src/http/index.js';

const object = Uint8Array.from({ length: 5000 }, (_, i) => (i * 7 + (i >> 8)) & 255);

function readerOf(failAt = Number.POSITIVE_INFINITY): ObjectReader & { closedCount: number } {
  const reader = {
    sizeBytes: object.length,
    closedCount: 0,
    isReading: false,
    async readAt(into: Uint8Array, offset: number): Promise<void> {
      reader.isReading = true;
      await new Promise((resolve) => setImmediate(resolve));
      reader.isReading = false;
      if (offset + into.length > failAt) throw new Error('the disk broke');
      into.set(object.subarray(offset, offset + into.length));
    },
    async close(): Promise<void> {
      if (reader.isReading) throw new Error('closed during a read');
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

async function readWith(body: Body, bufferBytes: () => number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  for (;;) {
    const buffer = new Uint8Array(bufferBytes());
    const count = await body.fill(buffer);
    if (count === 0) return Buffer.concat(pieces);
    pieces.push(buffer.subarray(0, count));
  }
}

const partArb = fc.oneof(
  fc.uint8Array({ maxLength: 300 }),
  fc
    .tuple(fc.integer({ min: 0, max: object.length }), fc.integer({ min: 0, max: 2000 }))
    .map(([start, length]) => ({ start, end: Math.min(object.length, start + length) })),
);

describe('a body of ranges and bytes', () => {
  it('is the same for every way to read it, and closes the object once', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(partArb, { maxLength: 6 }),
        fc.array(fc.integer({ min: 1, max: 1500 }), { minLength: 1, maxLength: 4 }),
        async (parts, sizes) => {
          const expected = bytesOf(parts);
          let turn = 0;
          const size = (): number => sizes[turn++ % sizes.length] as number;
          const pulled = readerOf();
          const body = objectBody({ parts, reader: pulled, report: () => undefined });
          expect(body.sizeBytes).toBe(expected.length);
          expect(Buffer.compare(await readWith(body, size), expected)).toBe(0);
          expect(await body.fill(new Uint8Array(1))).toBe(0);
          body.cancel();
          expect(pulled.closedCount).toBe(1);

          const streamed = readerOf();
          const stream = webBody(objectBody({ parts, reader: streamed, report: () => undefined }));
          const whole = new Uint8Array(await new Response(stream).arrayBuffer());
          expect(Buffer.compare(whole, expected)).toBe(0);
          expect(streamed.closedCount).toBe(1);
        },
      ),
      { numRuns: 60, seed: 11 },
    );
  });

  it('reports what breaks on the way, once, and closes the object', async () => {
    const faults: unknown[] = [];
    const reader = readerOf(1000);
    const report = (error: unknown): number => faults.push(error);
    const body = objectBody({ parts: [{ start: 0, end: 3000 }], reader, report });
    await expect(readWith(body, () => 700)).rejects.toThrow('the disk broke');
    expect(faults.length).toBe(1);
    expect(reader.closedCount).toBe(1);
  });

  it('reports nothing when it is cancelled during a read, and closes the object after it', async () => {
    const faults: unknown[] = [];
    const reader = readerOf(0);
    const report = (error: unknown): number => faults.push(error);
    const body = objectBody({ parts: [{ start: 0, end: 3000 }], reader, report });
    const reading = body.fill(new Uint8Array(100));
    body.cancel();
    body.cancel();
    expect(reader.closedCount).toBe(0);
    await expect(reading).rejects.toThrow('the disk broke');
    await new Promise((resolve) => setImmediate(resolve));
    expect(faults).toEqual([]);
    expect(reader.closedCount).toBe(1);
  });
});
