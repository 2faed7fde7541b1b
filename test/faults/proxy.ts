import type { ServerResponse } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import type { Gateway } from '../../src/gateway/index.js';
import { bytesBody } from '../../src/http/index.js';
import { type SeenRequest, startServer, type TestServer } from '../transport/support.js';
import { TEST_CERTIFICATE, TEST_KEY } from '../transport/tls-fixture.js';

/** What a request asks for, by its path. */
export type Kind =
  | ('dedup' | 'xorb' | 'shard' | 'plan' | 'range' | 'other')
  /** Of an upload grant: asking for it, the bytes, and that they are there. */
  | ('grant' | 'put' | 'commit');

/** A response of the gateway, whole. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly bytes: Buffer;
}

/** What the gateway is asked instead. */
export interface Change {
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** One request that something goes wrong with. */
export interface Act {
  readonly request: SeenRequest;
  readonly response: ServerResponse;
  /** A file that is stored and is the first half of the one that is asked for. */
  readonly shorterHash: string;
  /** Asks the gateway: this request, or the same with something changed. */
  forward(change?: Change): Promise<Answer>;
  /** Base URL of a server on another port, which forwards as well and sees what it is sent. */
  readonly otherUrl: string;
  /** Lets what was sent arrive, and so much time pass on the clock of the client. */
  readonly pass: (ms: number) => Promise<void>;
}

/** What goes wrong with a request. */
export type Fault = (act: Act) => unknown;

export interface FaultProxy {
  readonly url: string;
  /** All requests, in order. */
  readonly seen: readonly SeenRequest[];
  /** What the server on the other port was asked. */
  readonly otherSeen: readonly SeenRequest[];
  /** Grows with everything that moves. */
  readonly activity: number;
  /** Requests of this kind so far. */
  count(kind: Kind): number;
  close(): Promise<void>;
}

export function kindOf({ method, path }: Pick<SeenRequest, 'method' | 'path'>): Kind {
  if (/^\/v1\/chunks\//.test(path)) return 'dedup';
  if (/^\/v1\/xorbs\//.test(path)) return method === 'POST' ? 'xorb' : 'other';
  if (/^\/v1\/xorb-grants\//.test(path)) return 'grant';
  if (/^\/v1\/xorb-uploads\//.test(path)) return 'put';
  if (/^\/v1\/xorb-commits\//.test(path)) return 'commit';
  if (/^\/v[12]\/shards/.test(path)) return method === 'POST' ? 'shard' : 'other';
  if (/^\/v[12]\/reconstructions\//.test(path)) return 'plan';
  return /^\/v1\/fetch\//.test(path) ? 'range' : 'other';
}

/**
 * A server on loopback, over TLS if asked for, between a client and a gateway in this process. The
 * first `times` requests of a kind meet the fault; everything else is passed on.
 */
export async function startProxy(options: {
  readonly gateway: Gateway;
  readonly secure: boolean;
  readonly at: Kind;
  readonly times: number;
  readonly fault: Fault;
  readonly pass: (ms: number) => Promise<void>;
  readonly shorterHash: string;
}): Promise<FaultProxy> {
  const { gateway, at, times, fault, pass, shorterHash } = options;
  const counts = new Map<Kind, number>();
  let activity = 0;
  let url = '';
  let other: TestServer | null = null;
  const moved = (): void => {
    activity++;
  };
  const forwarder =
    (base: () => string) =>
    async (
      request: SeenRequest,
      { path = request.path, headers = {} }: Change = {},
    ): Promise<Answer> => {
      const hasBody = request.method === 'POST' || request.method === 'PUT';
      const sent = hasBody ? await request.body : null;
      moved();
      const response = await gateway.exchange({
        method: request.method,
        url: new URL(path, base()),
        headers: { ...request.headers, ...headers },
        body: sent === null ? null : bytesBody([sent]),
        signal: new AbortController().signal,
      });
      const pieces: Buffer[] = [];
      const into = new Uint8Array(1 << 20);
      for (let n = (await response.body?.fill(into)) ?? 0; n > 0; ) {
        pieces.push(Buffer.from(into.slice(0, n)));
        n = (await response.body?.fill(into)) ?? 0;
      }
      moved();
      return { status: response.status, headers: response.headers, bytes: Buffer.concat(pieces) };
    };
  const tls = options.secure ? { key: TEST_KEY, cert: TEST_CERTIFICATE } : null;
  // Both name the first in their URLs, and signatures do not care which one is asked.
  const forward = forwarder(() => url);
  const server = await startServer(
    async (request, response) => {
      moved();
      const kind = kindOf(request);
      const before = counts.get(kind) ?? 0;
      counts.set(kind, before + 1);
      if (kind !== at || before >= times) return give(response, await forward(request));
      await fault({
        request,
        response,
        shorterHash,
        forward: (change) => forward(request, change),
        otherUrl: other?.url ?? '',
        pass,
      });
    },
    '127.0.0.1',
    tls,
  );
  url = server.url;
  other = await startServer(
    async (request, response) => {
      moved();
      give(response, await forward(request));
    },
    '127.0.0.1',
    tls,
  );
  return {
    url,
    seen: server.seen,
    otherSeen: other.seen,
    get activity() {
      return activity;
    },
    count: (kind) => counts.get(kind) ?? 0,
    async close() {
      await server.close();
      await other.close();
    },
  };
}

/** Sends an answer as it is. */
export function give(response: ServerResponse, { status, headers, bytes }: Answer): void {
  response.writeHead(status, { ...headers, 'content-length': bytes.length });
  response.end(bytes);
}

/** Turns of the event loop, so that what is on its way arrives. */
export async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await delay(1);
}
