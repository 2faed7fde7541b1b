import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { OrbweaverError } from '../errors.js';
import type { Gateway } from './ports.js';

/**
 * A gateway on a TCP port: node:http requests become web Requests and Responses go back, with
 * backpressure both ways. There is no limit on how long a request or an answer takes, which would
 * cut off slow lines, only on how long a client that has to move may be silent.
 */

/** Settings of {@link createNodeServer}. */
export interface NodeServerOptions {
  /** Address to listen on. @default '127.0.0.1' */
  readonly host?: string | undefined;
  /** 0 picks a free one. @default DEFAULT_PORT */
  readonly port?: number | undefined;
  /**
   * Silence after which a connection is cut while the client has to send or to take bytes. Time
   * that the gateway itself needs does not count. @default 120000
   */
  readonly idleMs?: number | undefined;
  /** How long `close` waits for running requests before it cuts them off. @default 30000 */
  readonly drainMs?: number | undefined;
}

/** A listening server. */
export interface NodeServer {
  /** Base URL for clients on this machine. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Stops accepting, lets running requests end (up to `drainMs`), closes all connections. */
  close(): Promise<void>;
}

/** Where a gateway listens when nothing else is said. */
export const DEFAULT_PORT = 8080;
const DEFAULT_IDLE_MS = 120_000;
const DEFAULT_DRAIN_MS = 30_000;
/** Silence between two requests on one connection; above the 60 s that known clients keep theirs. */
const KEEP_ALIVE_MS = 65_000;
const HEADERS_TIMEOUT_MS = 60_000;
/** A fetch URL of 8 KiB with a Range header as long, and a token of 64,000 characters, fit. */
const MAX_HEADER_BYTES = 96 * 1024;
/** Of a body that nobody wants, this much is still read, so that its sender sees the answer. */
const MAX_DISCARDED_BYTES = 80 * 1024 * 1024;

/** Bytes taken from the socket before they are read, so that it is not stopped for each piece. */
const READ_AHEAD_BYTES = 256 * 1024;

/** Each of the two buffers that a body from disk goes through. */
const SEND_BUFFER_BYTES = 512 * 1024;

/** One request and its answer. */
interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The client asked to be told before it sends its body, and was not told yet. */
  expectsContinue: boolean;
  /** True while we wait for bytes from the client, or for the client to take some. */
  waitsForClient: boolean;
  /** The body is not wanted any more: what comes is dropped. */
  discards: boolean;
}

/**
 * Listens and answers with `gateway`. The gateway stays the caller's: close the server first, then
 * the gateway.
 *
 * @throws OrbweaverError `PORT_IN_USE`; `USAGE` for an address or port that cannot be listened on
 * @example
 * const server = await createNodeServer(gateway, { port: 0 });
 * console.log(server.url);
 * await server.close();
 */
export async function createNodeServer(
  gateway: Pick<Gateway, 'handle'>,
  options: NodeServerOptions = {},
): Promise<NodeServer> {
  const host = options.host ?? '127.0.0.1';
  const idleMs = options.idleMs ?? DEFAULT_IDLE_MS;
  const drainMs = options.drainMs ?? DEFAULT_DRAIN_MS;
  const exchanges = new WeakMap<object, Exchange>();
  let closing = false;

  const serve = (
    request: IncomingMessage,
    response: ServerResponse,
    expectsContinue: boolean,
  ): void => {
    const exchange: Exchange = {
      request,
      response,
      expectsContinue,
      waitsForClient: false,
      discards: false,
    };
    exchanges.set(request.socket, exchange);
    response.once('close', () => {
      // Not in the same turn: the connection counts as idle only after this event.
      if (closing) setImmediate(() => server.closeIdleConnections());
    });
    void exchangeOne(gateway, exchange, () => closing);
  };
  const server = createServer({
    maxHeaderSize: MAX_HEADER_BYTES,
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: 0,
  });
  server.on('request', (request, response) => serve(request, response, false));
  server.on('checkContinue', (request, response) => serve(request, response, true));
  server.setTimeout(idleMs, (socket) => {
    const exchange = exchanges.get(socket);
    const ours = exchange !== undefined && !exchange.response.writableFinished;
    if (ours && !exchange.waitsForClient) socket.setTimeout(idleMs);
    else socket.destroy();
  });

  const port = await listen(server, host, options.port ?? DEFAULT_PORT);
  return {
    url: `http://${urlHost(host)}:${port}`,
    host,
    port,
    async close(): Promise<void> {
      closing = true;
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      server.closeIdleConnections();
      const timer = setTimeout(() => server.closeAllConnections(), drainMs);
      await closed;
      clearTimeout(timer);
    },
  };
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const fields = { host, port, system: error.code ?? '' };
      const taken = error.code === 'EADDRINUSE';
      const message = taken
        ? `port ${port} on ${host} is taken`
        : `cannot listen on ${host}:${port}: ${error.code ?? error.message}`;
      reject(new OrbweaverError(taken ? 'PORT_IN_USE' : 'USAGE', message, fields, error));
    });
    server.listen({ host, port }, () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : port);
    });
  });
}

/** The host part of a URL by which this machine reaches an address that is listened on. */
function urlHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

async function exchangeOne(
  gateway: Pick<Gateway, 'handle'>,
  exchange: Exchange,
  isClosing: () => boolean,
): Promise<void> {
  const { response } = exchange;
  const gone = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) gone.abort();
  });
  try {
    const request = toRequest(exchange, gone.signal);
    const answer =
      request === null ? new Response(null, { status: 400 }) : await gateway.handle(request);
    // A body that was announced and not asked for may or may not follow: nobody could tell it from
    // the next request.
    if (isClosing() || exchange.expectsContinue) response.setHeader('connection', 'close');
    await send(answer, exchange);
    discardRest(exchange);
  } catch {
    // The answer broke off: a cut connection is the only way to say so after the status.
    response.destroy();
  }
}

/** The web Request for a node request; null when its target, host or headers cannot be put in one. */
function toRequest(exchange: Exchange, signal: AbortSignal): Request | null {
  const { request } = exchange;
  const target = request.url ?? '';
  const { localAddress = '127.0.0.1', localPort = 80 } = request.socket;
  const host = request.headers.host ?? `${urlHost(localAddress)}:${localPort}`;
  const url = `http://${host}${target}`;
  if (!target.startsWith('/') || !/^[A-Za-z0-9._:[\]-]+$/.test(host) || !URL.canParse(url)) {
    return null;
  }
  const method = request.method ?? 'GET';
  const hasBody =
    request.headers['transfer-encoding'] !== undefined ||
    Number(request.headers['content-length'] ?? 0) > 0;
  try {
    const headers = new Headers();
    for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
      headers.append(request.rawHeaders[i] as string, request.rawHeaders[i + 1] as string);
    }
    // Without a body nothing waits long enough to be worth the signal, which costs a tenth of a
    // small request.
    if (!hasBody || method === 'GET' || method === 'HEAD') {
      return new Request(url, { method, headers });
    }
    const body = bodyOf(exchange);
    return new Request(url, { method, headers, signal, body, duplex: 'half' });
  } catch {
    return null;
  }
}

/** The request body as a stream that takes from the socket only when it is read. */
function bodyOf(exchange: Exchange): ReadableStream<Uint8Array> {
  const { request, response } = exchange;
  return new ReadableStream<Uint8Array>(
    {
      start(controller): void {
        let ended = false;
        request.on('data', (chunk: Uint8Array) => {
          if (exchange.discards) return;
          // Not the Buffer itself, whose slice() is a view where everyone else's is a copy.
          controller.enqueue(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
          if ((controller.desiredSize ?? 0) > -READ_AHEAD_BYTES) return;
          exchange.waitsForClient = false;
          request.pause();
        });
        request.once('end', () => {
          ended = true;
          exchange.waitsForClient = false;
          if (!exchange.discards) controller.close();
        });
        request.once('error', () => undefined);
        request.once('close', () => {
          if (!ended && !exchange.discards) controller.error(new Error('the client is gone'));
        });
        request.pause();
      },
      pull(): void {
        if (exchange.expectsContinue) {
          exchange.expectsContinue = false;
          response.writeContinue();
        }
        exchange.waitsForClient = true;
        request.resume();
      },
      cancel(): void {
        exchange.discards = true;
      },
    },
    // Nothing before the first read: whoever waits for memory, or is turned away, costs none.
    { highWaterMark: 0, size: (piece) => piece.byteLength },
  );
}

async function send(answer: Response, exchange: Exchange): Promise<void> {
  const { response, request } = exchange;
  for (const [name, value] of answer.headers) response.setHeader(name, value);
  response.writeHead(answer.status);
  if (answer.body === null || request.method === 'HEAD') {
    await answer.body?.cancel();
    response.end();
    return;
  }
  const bytes = byobReader(answer.body);
  if (bytes === null) await sendPieces(answer.body.getReader(), exchange);
  else await sendBytes(bytes, Number(answer.headers.get('content-length') ?? Infinity), exchange);
  response.end();
}

/** Null for a body that brings its own pieces. */
function byobReader(body: ReadableStream<Uint8Array>): ReadableStreamBYOBReader | null {
  try {
    return body.getReader({ mode: 'byob' });
  } catch {
    return null;
  }
}

async function sendPieces(
  reader: ReadableStreamDefaultReader<Uint8Array>,
  exchange: Exchange,
): Promise<void> {
  const { response } = exchange;
  const stop = (): void => {
    reader.cancel().catch(() => undefined);
  };
  response.once('close', stop);
  while (true) {
    const step = await reader.read();
    if (step.done) break;
    if (!response.write(step.value)) await taken(exchange);
  }
  response.off('close', stop);
}

/**
 * Two buffers in turn: one is filled while the system takes the other. Fresh memory for every piece
 * would cost more (page faults, zeroes, collection) than reading the disk's cache.
 */
async function sendBytes(
  reader: ReadableStreamBYOBReader,
  lengthBytes: number,
  exchange: Exchange,
): Promise<void> {
  const { response } = exchange;
  const stop = (): void => {
    reader.cancel().catch(() => undefined);
  };
  response.once('close', stop);
  const bufferBytes = Math.max(1, Math.min(lengthBytes, SEND_BUFFER_BYTES));
  let buffer = new ArrayBuffer(bufferBytes);
  let writing: Promise<ArrayBuffer> | undefined;
  let leftBytes = lengthBytes;
  while (true) {
    const step = await reader.read(new Uint8Array(buffer));
    if (step.done) break;
    const piece = step.value;
    leftBytes -= piece.length;
    // The last read finds the end only.
    const next = leftBytes > 0 ? (writing ?? new ArrayBuffer(bufferBytes)) : new ArrayBuffer(1);
    buffer = await next;
    writing = written(piece, exchange).then(() => piece.buffer as ArrayBuffer);
  }
  await writing;
  response.off('close', stop);
}

/** Resolves when the system has taken `piece`, or the client is gone: its memory is free again. */
function written(piece: Uint8Array, exchange: Exchange): Promise<void> {
  const { response } = exchange;
  if (response.destroyed) return Promise.resolve();
  exchange.waitsForClient = true;
  return new Promise((resolve) => {
    const done = (): void => {
      exchange.waitsForClient = false;
      response.off('close', done);
      resolve();
    };
    response.once('close', done);
    response.write(piece, done);
  });
}

/** Resolves when the client has taken what was written, or is gone. */
function taken(exchange: Exchange): Promise<void> {
  const { response } = exchange;
  if (response.destroyed) return Promise.resolve();
  exchange.waitsForClient = true;
  return new Promise((resolve) => {
    const done = (): void => {
      exchange.waitsForClient = false;
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.on('drain', done);
    response.on('close', done);
  });
}

/**
 * Reads what is left of a body that was answered already and drops it: closing the connection on
 * bytes under way would reset it, and the client might never see the answer.
 */
function discardRest(exchange: Exchange): void {
  const { request } = exchange;
  if (request.complete) return;
  exchange.discards = true;
  exchange.waitsForClient = true;
  let discardedBytes = 0;
  request.on('data', (chunk: Uint8Array) => {
    discardedBytes += chunk.length;
    if (discardedBytes > MAX_DISCARDED_BYTES) request.socket.destroy();
  });
  request.resume();
}
