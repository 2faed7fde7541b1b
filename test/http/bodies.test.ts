import { describe, expect, it } from 'vitest';
import { type Body, bytesBody, drain, piecesOf, readAll, textBody } from '../../src/http/index.js';

const bytesOf = (length: number): Uint8Array => Uint8Array.from({ length }, (_, i) => i % 251);

/** A body that gives `step` bytes at a time and says how it was used. */
function countingBody(
  bytes: Uint8Array,
  step: number,
  announced = true,
): Body & { reads: number; cancelled: number } {
  let at = 0;
  const body = {
    ...(announced ? { sizeBytes: bytes.length } : {}),
    reads: 0,
    cancelled: 0,
    async fill(into: Uint8Array) {
      body.reads++;
      const piece = bytes.subarray(at, at + Math.min(step, into.length));
      into.set(piece);
      at += piece.length;
      return piece.length;
    },
    cancel() {
      body.cancelled++;
    },
  };
  return body;
}

describe('a body of bytes', () => {
  it.each([1, 3, 64, 1000])(
    'gives the same bytes filled %i at a time, in views, and again after rewind',
    async (step) => {
      const bytes = bytesOf(200);
      const body = bytesBody([bytes.subarray(0, 0), bytes.subarray(0, 70), bytes.subarray(70)]);
      expect(body.sizeBytes).toBe(200);
      for (let round = 0; round < 2; round++) {
        const filled: number[] = [];
        const into = new Uint8Array(step);
        for (let count = await body.fill(into); count > 0; count = await body.fill(into)) {
          filled.push(...into.subarray(0, count));
        }
        expect(Uint8Array.from(filled)).toEqual(bytes);
        body.rewind?.();
        const viewed: number[] = [];
        for (
          let view = body.nextView?.(step);
          view !== undefined && view.length > 0;
          view = body.nextView?.(step)
        ) {
          viewed.push(...view);
        }
        expect(Uint8Array.from(viewed)).toEqual(bytes);
        body.rewind?.();
      }
    },
  );

  it('gives views of the bytes themselves', () => {
    const bytes = bytesOf(10);
    expect(bytesBody(bytes).nextView?.(4).buffer).toBe(bytes.buffer);
  });

  it('is at its end when it is cancelled', async () => {
    const body = textBody('hello');
    body.cancel();
    expect(await body.fill(new Uint8Array(5))).toBe(0);
  });
});

describe('reading a whole body', () => {
  it.each([0, 1, 65_535, 65_536, 65_537, 200_000])(
    'gives all %i bytes, announced or not',
    async (length) => {
      const bytes = bytesOf(length);
      expect(await readAll(countingBody(bytes, 7000), length)).toEqual(bytes);
      expect(await readAll(countingBody(bytes, 7000, false), length)).toEqual(bytes);
      expect(await readAll(null, 10)).toEqual(new Uint8Array(0));
    },
  );

  it('refuses an announced length above the limit without reading', async () => {
    const body = countingBody(bytesOf(100), 10);
    await expect(readAll(body, 99)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    expect(body).toMatchObject({ reads: 0, cancelled: 1 });
  });

  it('stops one that grows past the limit', async () => {
    const body = countingBody(bytesOf(1_000_000), 50_000, false);
    await expect(readAll(body, 99_999)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    expect(body.cancelled).toBe(1);
    expect(body.reads).toBeLessThan(5);
  });

  it('takes no memory for a length that never comes', async () => {
    const huge: Body = { sizeBytes: 2 ** 40, fill: async () => 0, cancel() {} };
    expect(await readAll(huge, 2 ** 41)).toEqual(new Uint8Array(0));
  });
});

describe('pieces of a body', () => {
  it('are all of it, and leaving early cancels it', async () => {
    const bytes = bytesOf(1000);
    const seen: number[] = [];
    for await (const piece of piecesOf(countingBody(bytes, 300))) seen.push(...piece);
    expect(Uint8Array.from(seen)).toEqual(bytes);
    const body = countingBody(bytes, 300);
    for await (const _piece of piecesOf(body)) break;
    expect(body.cancelled).toBe(1);
  });

  it('are views of the buffer that is given', async () => {
    const buffer = new Uint8Array(64);
    for await (const piece of piecesOf(countingBody(bytesOf(200), 50), buffer)) {
      expect(piece.buffer).toBe(buffer.buffer);
    }
  });
});

describe('draining a body', () => {
  it('reads a short rest and drops a long one', async () => {
    const short = countingBody(bytesOf(100), 10);
    await drain(short, 1000);
    expect(short).toMatchObject({ reads: 11, cancelled: 0 });
    const long = countingBody(bytesOf(2000), 10);
    await drain(long, 1000);
    expect(long).toMatchObject({ reads: 0, cancelled: 1 });
    const silent = countingBody(bytesOf(2000), 10, false);
    await drain(silent, 1000);
    expect(silent.cancelled).toBe(1);
  });
});
