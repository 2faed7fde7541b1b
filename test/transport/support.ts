import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { ByteRange, CasClient, RangeReader } from '../../src/client/ports.js';
import type { Clock } from '../../src/flow/index.js';
import { MerkleHash } from '../../src/hash/index.js';
import {
  type CasClientOptions,
  createCasClient,
  type RetryEvent,
} from '../../src/transport/index.js';

/** Time that moves when a test says so. Timers of 0 ms fire by themselves. */
export interface TestClock extends Clock {
  /** Moves time and fires what became due, in order. */
  advance(ms: number): void;
  /** Sets the wall clock, as an administrator does; nothing else moves. */
  setBack(ms: number): void;
  /** Timers that wait now. */
  readonly waiting: number;
}

export function createTestClock(startMs = 1_700_000_000_000): TestClock {
  let nowMs = startMs;
  let wallMs = 0;
  let timers: { due: number; callback: () => void }[] = [];
  return {
    now: () => nowMs,
    unixMs: () => nowMs + wallMs,
    setBack(ms) {
      wallMs -= ms;
    },
    setTimer(delayMs, callback) {
      if (delayMs <= 0) {
        const immediate = setImmediate(callback);
        return () => clearImmediate(immediate);
      }
      const timer = { due: nowMs + delayMs, callback };
      timers.push(timer);
      return () => {
        timers = timers.filter((other) => other !== timer);
      };
    },
    advance(ms) {
      const end = nowMs + ms;
      for (;;) {
        timers.sort((a, b) => a.due - b.due);
        const [next] = timers;
        if (next === undefined || next.due > end) break;
        timers.shift();
        nowMs = Math.max(nowMs, next.due);
        next.callback();
      }
      nowMs = end;
    },
    get waiting() {
      return timers.length;
    },
  };
}

/** A request as the server saw it; the body is read unless the handler answers before. */
export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Promise<Buffer>;
  readonly raw: IncomingMessage;
  readonly socket: Socket;
}

export interface TestServer {
  readonly url: string;
  readonly port: number;
  /** In order of arrival. */
  readonly seen: SeenRequest[];
  close(): Promise<void>;
}

export type Handler = (request: SeenRequest, response: ServerResponse, index: number) => unknown;

/** A real server on loopback; over TLS with a key and its certificate. */
export async function startServer(
  handler: Handler,
  host = '127.0.0.1',
  tls: { readonly key: string; readonly cert: string } | null = null,
): Promise<TestServer> {
  const seen: SeenRequest[] = [];
  const sockets = new Set<Socket>();
  const listener = (raw: IncomingMessage, response: ServerResponse): void => {
    const request: SeenRequest = {
      method: raw.method ?? '',
      path: raw.url ?? '',
      headers: raw.headers as Record<string, string>,
      raw,
      socket: raw.socket,
      get body() {
        return readBody(raw);
      },
    };
    const index = seen.push(request) - 1;
    response.on('error', () => {});
    Promise.resolve(handler(request, response, index)).catch(() => raw.socket.destroy());
  };
  const server = tls === null ? createServer(listener) : createSecureServer(tls, listener);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  server.requestTimeout = 0;
  await new Promise<void>((resolve) => server.listen(0, host, resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `${tls === null ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`,
    port,
    seen,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

export async function readBody(raw: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of raw) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(value));
}

/** A client of `server` that needs no waiting: no jitter, its own clock, retries noted. */
export interface Rig {
  readonly cas: CasClient;
  readonly clock: TestClock;
  readonly server: TestServer;
  readonly retries: RetryEvent[];
  close(): Promise<void>;
}

export async function startRig(
  handler: Handler,
  options: Partial<CasClientOptions> = {},
): Promise<Rig> {
  const server = await startServer(handler);
  const clock = createTestClock();
  const retries: RetryEvent[] = [];
  const cas = createCasClient({
    endpoint: server.url,
    token: 'token-1',
    clock,
    random: () => 0,
    onRetry: (event) => retries.push(event),
    // Large bodies would ask for them first; `grants.test.ts` is about those.
    grants: 'never',
    ...options,
  });
  return {
    cas,
    clock,
    server,
    retries,
    async close() {
      await cas.close();
      await server.close();
    },
  };
}

export function someHash(seed = 1): MerkleHash {
  return MerkleHash.from(Uint8Array.from({ length: 32 }, (_, i) => (seed * 37 + i * 11) & 255));
}

/** Waits for something another task does, without a fixed time. */
export async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 20_000; i++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error('the condition never came true');
}

/** The error of a promise that must fail. */
export async function failureOf(promise: Promise<unknown>): Promise<{
  readonly code: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, unknown>>;
  readonly cause: unknown;
}> {
  try {
    await promise;
  } catch (error) {
    return error as never;
  }
  throw new Error('expected a failure');
}

/** Bytes that differ everywhere. */
export function pattern(length: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = seed >>> 0 || 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** All that a reader brings, range by range, in fills of `fillBytes`. */
export async function readParts(
  reader: RangeReader,
  rangeCount: number,
  { fillBytes = 65_536, onPart = () => {} }: { fillBytes?: number; onPart?: () => unknown } = {},
): Promise<Buffer[]> {
  const parts: Buffer[][] = Array.from({ length: rangeCount }, () => []);
  const into = new Uint8Array(fillBytes);
  for (let last = 0; ; ) {
    const count = await reader.fill(into);
    if (count === 0) return parts.map((part) => Buffer.concat(part));
    if (reader.rangeIndex < last) throw new Error('the ranges are out of order');
    last = reader.rangeIndex;
    parts[last]?.push(Buffer.from(into.slice(0, count)));
    await onPart();
  }
}

/** The failure of the first bytes of a URL. */
export function readFailure(cas: CasClient, url: string, ranges: readonly ByteRange[]) {
  return failureOf(cas.readRanges(url, ranges).fill(new Uint8Array(65_536)));
}
