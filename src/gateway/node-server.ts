import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { OrbweaverError } from '../errors.js';
import { checkOptions, is, type OptionRules } from '../options/index.js';
import { createFreeBytes, SYSTEM_CLOCK } from '../platform/index.js';
import type { Gateway } from './gateway.js';
import {
  createIncomingHandler,
  incomingOf,
  LISTENER_RULES,
  type NodeListenerOptions,
} from './node-listener.js';
import { type Incoming, urlHost } from './node-request.js';
import { checkedTls, type NodeTls } from './node-tls.js';

/**
 * A gateway on a TCP port, with backpressure both ways. There is no limit on how long a request or a
 * response takes, which would cut off slow lines, only on how long a client that has to move may be
 * silent.
 */

/** Settings of {@link createNodeServer}. */
export interface NodeServerOptions extends NodeListenerOptions {
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
  /** Told by `close` when it cuts connections on which something was still running. */
  readonly onCut?: ((connectionCount: number) => void) | undefined;
  /** Serves HTTPS with this certificate. @default plain HTTP */
  readonly tls?: NodeTls | undefined;
}

const RULES: OptionRules<NodeServerOptions> = {
  ...LISTENER_RULES,
  host: is.text,
  port: is.integer(0, 65_535),
  idleMs: is.number(0),
  drainMs: is.number(0),
  onCut: is.callback,
  tls: is.object,
};

/** A listening server. */
export interface NodeServer {
  /** Base URL for clients on this machine. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** Connections that are open now, idle ones too. */
  connectionCount(): Promise<number>;
  /** Responses end their connections from now on, so that clients connect anew; all is served on. */
  drain(): void;
  /**
   * Another certificate for connections that begin from now on.
   * @throws OrbweaverError `USAGE` when it cannot be used, or there was none before
   */
  setTls(tls: NodeTls): void;
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

/**
 * Listens and serves `gateway`. The gateway stays the caller's: close the server first, then
 * the gateway.
 *
 * @throws OrbweaverError `PORT_IN_USE`; `USAGE` for an address or port that cannot be listened on, or a
 * certificate that cannot be used
 * @example
 * const server = await createNodeServer(gateway, { port: 0 });
 * console.log(server.url);
 * await server.close();
 */
export async function createNodeServer(
  gateway: Pick<Gateway, 'mount'>,
  options: NodeServerOptions = {},
): Promise<NodeServer> {
  checkOptions('createNodeServer', options, RULES);
  const host = options.host ?? '127.0.0.1';
  const idleMs = options.idleMs ?? DEFAULT_IDLE_MS;
  const drainMs = options.drainMs ?? DEFAULT_DRAIN_MS;
  const clock = options.clock ?? SYSTEM_CLOCK;
  const latest = new WeakMap<object, Incoming>();
  const freePiece = createFreeBytes();
  let closing = false;
  let draining = false;
  const handle = createIncomingHandler(gateway, options, () => closing || draining);

  const serve = (
    request: IncomingMessage,
    response: ServerResponse,
    expectsContinue: boolean,
  ): void => {
    const incoming = incomingOf(request, response, expectsContinue, freePiece);
    latest.set(request.socket, incoming);
    response.once('close', () => {
      // Not in the same turn: the connection counts as idle only after this event.
      if (closing) setImmediate(() => server.closeIdleConnections());
    });
    handle(incoming);
  };
  const limits = {
    maxHeaderSize: MAX_HEADER_BYTES,
    keepAliveTimeout: KEEP_ALIVE_MS,
    headersTimeout: HEADERS_TIMEOUT_MS,
    requestTimeout: 0,
  };
  const secure =
    options.tls === undefined
      ? null
      : createSecureServer({ ...limits, ...checkedTls(options.tls) });
  const server = secure ?? createServer(limits);
  server.on('request', (request, response) => serve(request, response, false));
  server.on('checkContinue', (request, response) => serve(request, response, true));
  server.setTimeout(idleMs, (socket) => {
    const incoming = latest.get(socket);
    const ours = incoming !== undefined && !incoming.response.writableFinished;
    if (ours && !incoming.waitsForClient) socket.setTimeout(idleMs);
    else socket.destroy();
  });

  const port = await listen(server, host, options.port ?? DEFAULT_PORT);
  const connectionCount = (): Promise<number> =>
    new Promise((resolve) => {
      server.getConnections((_error, count = 0) => resolve(count));
    });
  const cut = async (): Promise<void> => {
    const count = await connectionCount();
    if (count > 0) options.onCut?.(count);
    server.closeAllConnections();
  };
  return {
    url: `${secure === null ? 'http' : 'https'}://${urlHost(host)}:${port}`,
    host,
    port,
    connectionCount,
    drain() {
      draining = true;
    },
    setTls(tls): void {
      if (secure === null)
        throw new OrbweaverError('USAGE', 'TLS: this server was started without');
      secure.setSecureContext(checkedTls(tls));
    },
    async close(): Promise<void> {
      closing = true;
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve());
      });
      server.closeIdleConnections();
      const stopTimer = clock.setTimer(drainMs, () => void cut());
      await closed;
      stopTimer();
    },
  };
}

/**
 * Whether a server can listen there, asked before anything is made on disk for it.
 * @throws what {@link createNodeServer} does
 */
export async function checkListen({
  host = '127.0.0.1',
  port = DEFAULT_PORT,
}: NodeServerOptions): Promise<void> {
  const server = createServer();
  await listen(server, host, port);
  await new Promise((resolve) => server.close(resolve));
}

/** Resolves with the port. @throws what {@link createNodeServer} does */
export function listen(server: Server, host: string, port: number): Promise<number> {
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
