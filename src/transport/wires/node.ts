import { type ClientRequest, Agent as HttpAgent, type IncomingMessage, request } from 'node:http';
import type { Socket } from 'node:net';
import {
  type Body,
  type Exchange,
  type HttpRequest,
  type HttpResponse,
  joinedHeaders,
} from '../../http/index.js';
import { bodyOfPieces, isBodiless, type PieceReader, sizeOf, writesOf } from './bodies.js';
import {
  type ConnectOptions,
  limitConnecting,
  socketHost,
  socketSettings,
  type Wire,
} from './connect.js';
import type { Opener, Start } from './open.js';

/** Idle connections are kept this long unless the server announces less. */
const KEEP_ALIVE_MS = 10_000;
/** Bytes that may wait for the reader; more stay in the buffers of the system. */
const MOST_WAITING_BYTES = 256 * 1024;

/** What requests of one protocol are made with. */
interface Protocol {
  readonly agent: HttpAgent;
  readonly request: typeof request;
}

/**
 * The usual way: HTTP/1.1 over `node:http`, one transfer per connection, each with the whole window
 * of TCP for itself. Its parser is native: nothing is compiled at run time for the few hundred short
 * responses of a session, and it loads in a tenth of the time that a client in JavaScript takes.
 */
export function createNodeWire(options: ConnectOptions, proxy: URL | null = null): Wire {
  const plainAgent = (): HttpAgent => new HttpAgent(agentSettings(options));
  let plain: Protocol | null =
    proxy === null ? { agent: limited(plainAgent(), options), request } : null;
  let secure: Protocol | null = null;
  let opener: Opener | null = null;

  /** What takes more than one step is loaded when it is first asked for. */
  const loadOpener = async (): Promise<Opener> => {
    const [{ createOpener }, { createTrust }] = await Promise.all([
      import('./open.js'),
      import('./trust.js'),
    ]);
    opener ??= createOpener({ connect: options, trust: createTrust(options.ca), proxy });
    return opener;
  };

  const loadPlain = async (): Promise<Protocol> => {
    const agent = plainAgent();
    opened(agent, await loadOpener(), false);
    plain ??= { agent, request };
    return plain;
  };
  /** TLS is loaded when it is first asked for. */
  const loadSecure = async (): Promise<Protocol> => {
    const https = await import('node:https');
    const agent = new https.Agent({
      ...agentSettings(options),
      ALPNProtocols: ['http/1.1'],
      // Node takes what the opener gives it; other runtimes look here.
      ...(options.ca === '' ? {} : { ca: options.ca }),
    });
    opened(agent, await loadOpener(), true);
    secure ??= { agent, request: https.request };
    return secure;
  };
  const exchange: Exchange = async (wanted) => {
    const isPlain = wanted.url.protocol === 'http:';
    const protocol = isPlain ? (plain ?? (await loadPlain())) : (secure ?? (await loadSecure()));
    wanted.signal.throwIfAborted();
    return sendOver(protocol, wanted);
  };
  return {
    exchange,
    async close() {
      plain?.agent.destroy();
      secure?.agent.destroy();
      opener?.close();
    },
  };
}

function sendOver(protocol: Protocol, wanted: HttpRequest): Promise<HttpResponse> {
  const { url, method, headers, body, signal } = wanted;
  const length = body?.sizeBytes;
  const outgoing = protocol.request({
    agent: protocol.agent,
    host: socketHost(url),
    port: url.port,
    path: url.pathname + url.search,
    method,
    // For what opens connections: nobody waits for this one any more.
    ...{ waiter: signal },
    headers: {
      host: url.host,
      ...headers,
      ...(length === undefined ? {} : { 'content-length': length }),
    },
  });
  let hasResponse = false;
  const abort = (): void => {
    // After the response nobody listens to the connection: on Deno its error would end the process.
    const reason = !hasResponse && signal.reason instanceof Error ? signal.reason : undefined;
    outgoing.destroy(reason);
  };
  signal.addEventListener('abort', abort, { once: true });
  outgoing.once('close', () => signal.removeEventListener('abort', abort));
  if (body === null) outgoing.end();
  else sendBody(outgoing, body).catch(() => {});
  return new Promise((resolve, reject) => {
    outgoing.on('response', (incoming) => {
      hasResponse = true;
      resolve(responseOf(method, outgoing, incoming));
    });
    // After the response this is nobody's news: the body ends with an error of its own.
    outgoing.on('error', reject);
  });
}

function responseOf(
  method: string,
  outgoing: ClientRequest,
  incoming: IncomingMessage,
): HttpResponse {
  const status = incoming.statusCode ?? 0;
  const headers = joinedHeaders(incoming.headers);
  const sizeBytes = sizeOf(headers);
  if (isBodiless(method, status) || sizeBytes === 0) {
    incoming.on('error', () => {});
    incoming.resume();
    return { status, headers, body: null };
  }
  return { status, headers, body: bodyOfPieces(piecesOf(incoming, outgoing), sizeBytes) };
}

/**
 * The pieces of a body as the parser gives them. The iterator of a Node stream would join waiting
 * pieces into new memory, and costs a set of listeners per response. What came before a connection
 * broke is given out before the error.
 */
function piecesOf(incoming: IncomingMessage, outgoing: ClientRequest): PieceReader {
  const waiting: Uint8Array[] = [];
  let waitingBytes = 0;
  /** Why there is no more; null: there may be. */
  let end: { readonly error: Error | null } | null = null;
  let reader: { resolve(piece: Uint8Array | null): void; reject(error: Error): void } | null = null;

  const finish = (error: Error | null): void => {
    if (end !== null) return;
    end = { error };
    if (error === null) reader?.resolve(null);
    else reader?.reject(error);
    reader = null;
  };
  incoming.on('data', (piece: Uint8Array) => {
    if (reader !== null) {
      reader.resolve(piece);
      reader = null;
      return;
    }
    waiting.push(piece);
    waitingBytes += piece.length;
    if (waitingBytes >= MOST_WAITING_BYTES) incoming.pause();
  });
  incoming.on('end', () => finish(null));
  incoming.on('error', finish);
  incoming.on('close', () => finish(Object.assign(new Error('aborted'), { code: 'ECONNRESET' })));

  return {
    next() {
      const piece = waiting.shift();
      if (piece !== undefined) {
        waitingBytes -= piece.length;
        return Promise.resolve(piece);
      }
      if (end !== null) {
        return end.error === null ? Promise.resolve(null) : Promise.reject(end.error);
      }
      return new Promise((resolve, reject) => {
        reader = { resolve, reject };
        if (incoming.isPaused()) incoming.resume();
      });
    },
    cancel: () => outgoing.destroy(),
  };
}

function agentSettings(options: ConnectOptions): ConstructorParameters<typeof HttpAgent>[0] {
  const settings = socketSettings(options);
  return {
    ...settings,
    keepAliveMsecs: settings.keepAliveInitialDelay,
    // Of idle connections only: nothing listens to it while a request runs.
    timeout: KEEP_ALIVE_MS,
  } as ConstructorParameters<typeof HttpAgent>[0];
}

/** The agent, with a limit for each of its connections to stand, and which are read to their end. */
function limited(agent: HttpAgent, options: ConnectOptions): HttpAgent {
  const create = agent.createConnection;
  agent.createConnection = (...all) => {
    const socket = create.apply(agent, all) as Socket | null | undefined;
    if (socket !== null && socket !== undefined) {
      limitConnecting(socket, options);
      readToTheEnd(socket);
    }
    return socket;
  };
  return agent;
}

/** Has all connections of the agent made by the opener, with TLS as the agent begins it. */
function opened(agent: HttpAgent, opener: Opener, secure: boolean): void {
  const create = agent.createConnection;
  agent.createConnection = (settings, done) => {
    const { host, port, waiter } = settings as { host: string; port: number; waiter: AbortSignal };
    const start: Start = (over) => create.call(agent, { ...settings, ...over }) as Socket;
    opener.open({ host, port }, secure ? start : null, waiter).then(
      (socket) => {
        readToTheEnd(socket);
        done?.(null, socket);
      },
      (error: Error) => done?.(error, undefined as never),
    );
    return undefined;
  };
}

type Write = (data: unknown, encoding: unknown, callback: (error?: Error | null) => void) => void;
interface Writable {
  _write: Write;
}

/**
 * A server that refuses a body and cuts the connection at once has said why, and the kernel has kept
 * it. But a write into that connection fails first, and a socket of Node is then destroyed unread. So
 * such a write stays unanswered: reading goes on, brings the response, and then says the same.
 */
function readToTheEnd(socket: Socket): void {
  const target = socket as unknown as Writable;
  const write = target._write;
  target._write = (data, encoding, callback) => {
    write.call(socket, data, encoding, (error) => {
      const code = (error as NodeJS.ErrnoException | null | undefined)?.code;
      if (code !== 'EPIPE' && code !== 'ECONNRESET') callback(error);
    });
  };
}

/**
 * Sends the views of the body, each write when the one before is taken.
 * @throws when the connection breaks, which the request tells as well
 */
async function sendBody(outgoing: ClientRequest, body: Body): Promise<void> {
  let sentBytes = 0;
  for await (const bytes of writesOf(body)) {
    // A `Buffer` over the memory as it lies, shared or not: the kernel makes the first copy.
    const piece = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    await new Promise<void>((resolve, reject) => {
      outgoing.write(piece, (error) => (error ? reject(error) : resolve()));
    });
    sentBytes += bytes.length;
  }
  // Otherwise the connection stays in the middle of the request, so that nothing else goes over it.
  if (body.sizeBytes === undefined || sentBytes === body.sizeBytes) outgoing.end();
}
