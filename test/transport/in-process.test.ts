import { describe, expect, it } from 'vitest';
import { type Body, bytesBody, type Exchange, type HttpResponse } from '../../src/http/index.js';
import { createCasClient, type RetryEvent } from '../../src/transport/index.js';
import { createTestClock, failureOf, pattern, readParts, someHash, until } from './support.js';

/**
 * The wire that is an exchange: what `wires.test.ts` asks of the others, as far as it makes sense
 * here. Left out: TLS, heads, codings, HTTP/1.0, informational responses and kept connections, because
 * there is no connection and nothing is written as text.
 */

const object = pattern(300_000, 6);
const RANGE = [{ start: 0, end: object.length }];
const URL_TEXT = 'http://gateway.invalid/x';

function clientOf(exchange: Exchange) {
  const clock = createTestClock();
  const retries: RetryEvent[] = [];
  const cas = createCasClient({
    endpoint: 'http://gateway.invalid',
    token: '',
    exchange,
    clock,
    random: () => 0,
    onRetry: (event) => retries.push(event),
  });
  return { cas, clock, retries };
}

const ok = (headers: Record<string, string>, body: Body | null): HttpResponse => ({
  status: 206,
  headers,
  body,
});

/** The object from `start`, which breaks after `count` bytes. */
function breaking(start: number, count: number): Body {
  let at = start;
  return {
    sizeBytes: object.length - start,
    async fill(into) {
      if (at >= start + count) throw Object.assign(new Error('gone'), { code: 'ECONNRESET' });
      const piece = object.subarray(at, Math.min(start + count, at + into.length));
      into.set(piece);
      at += piece.length;
      return piece.length;
    },
    cancel: () => {},
  };
}

describe('an exchange in the same process as a wire', () => {
  it('is asked for the rest where a body broke', async () => {
    const asked: string[] = [];
    const { cas, retries } = clientOf(async ({ headers }) => {
      asked.push(headers['range'] ?? '');
      const start = Number(/=(\d+)/.exec(headers['range'] ?? '')?.[1]);
      const range = `bytes ${start}-${object.length - 1}/${object.length}`;
      return ok({ 'content-range': range }, breaking(start, 100_000));
    });
    const [got] = await readParts(cas.readRanges(URL_TEXT, RANGE), 1);
    expect(got?.equals(object)).toBe(true);
    expect(asked).toEqual(['bytes=0-299999', 'bytes=100000-299999', 'bytes=200000-299999']);
    expect(retries.map(({ code }) => code)).toEqual(['NETWORK', 'NETWORK']);
  });

  it.each([204, 304])('may have no body (%i), which is no range', async (status) => {
    const { cas } = clientOf(async () => ({ status, headers: {}, body: null }));
    const error = await failureOf(cas.readRanges(URL_TEXT, RANGE).fill(new Uint8Array(10)));
    expect(error).toMatchObject({ code: 'PROTOCOL', fields: { status } });
  });

  it('is told when the reader has enough', async () => {
    let cancelled = 0;
    const { cas } = clientOf(async () => {
      const body = { ...bytesBody(object), cancel: () => cancelled++ };
      return ok({ 'content-length': String(object.length) }, body);
    });
    const reader = cas.readRanges(URL_TEXT, RANGE);
    await reader.fill(new Uint8Array(10));
    reader.cancel();
    reader.cancel();
    expect(cancelled).toBe(1);
    expect((await failureOf(reader.fill(new Uint8Array(10)))).code).toBe('ABORTED');
  });

  it('gets the body of an upload without a copy, and may respond before it has read it', async () => {
    const memory = new SharedArrayBuffer(1000);
    let viewed: Uint8Array | undefined;
    const { cas } = clientOf(async ({ body }) => {
      viewed = body?.nextView?.(10_000);
      return { status: 413, headers: {}, body: null };
    });
    const pieces = [new Uint8Array(memory)];
    const error = await failureOf(cas.putXorb(someHash(), { sizeBytes: 1000, pieces }));
    expect(error).toMatchObject({ code: 'REJECTED', fields: { status: 413 } });
    expect(viewed?.buffer).toBe(memory);
  });

  it('is given up when it is silent, also one that does not look at its signal', async () => {
    let late: Body | null = null;
    let cancelled = false;
    const responses: ((response: HttpResponse) => void)[] = [];
    const { cas, clock, retries } = clientOf(
      () => new Promise((resolve) => responses.push(resolve)),
    );
    const result = failureOf(cas.readRanges(URL_TEXT, RANGE).fill(new Uint8Array(10)));
    for (let attempt = 1; attempt <= 7; attempt++) {
      await until(() => responses.length === attempt && clock.waiting === 1);
      clock.advance(30_000);
    }
    expect(await result).toMatchObject({ code: 'STALLED', fields: { attempts: 7 } });
    expect(retries).toHaveLength(6);
    late = {
      ...bytesBody(object),
      cancel: () => {
        cancelled = true;
      },
    };
    responses[0]?.(ok({}, late));
    await until(() => cancelled);
  });
});
