import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import { OrbweaverError } from '../errors.js';
import { type Exchange, joinedHeaders, piecesBody, piecesOf } from '../http/index.js';
import { checkOptions, is } from '../options/index.js';

/**
 * A test server on a port of this machine. An {@link Exchange} that throws cuts the connection, which
 * is how a lost response looks from outside.
 */

/** A listening server. */
export interface ListeningServer {
  /** `http://127.0.0.1:<port>` */
  readonly url: string;
  readonly port: number;
  /** Cuts every connection. */
  close(): Promise<void>;
}

export interface ListenOptions {
  /** 0: a free one. @default 0 */
  readonly port?: number | undefined;
  /** @default '127.0.0.1' */
  readonly host?: string | undefined;
  /** Takes over the connection of a request that wants another protocol (a WebSocket). @default it is cut */
  readonly onUpgrade?: ((request: IncomingMessage, socket: Duplex) => void) | undefined;
}

/** Of a request that was responded to early, this much is read so that its sender sees the response. */
const MAX_DISCARDED_BYTES: number = 64 * 1024 * 1024;

/** @throws OrbweaverError `PORT_IN_USE`, `USAGE` */
export async function listen(
  exchange: Exchange,
  options: ListenOptions = {},
): Promise<ListeningServer> {
  const {
    port = 0,
    host = '127.0.0.1',
    onUpgrade,
  } = checkOptions('listen', options, {
    port: is.integer(0, 65_535),
    host: is.text,
    onUpgrade: is.callback,
  });
  const server = createServer({ requestTimeout: 0, keepAliveTimeout: 65_000 });
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    serveOne(exchange, request, response).catch(() => response.destroy());
  };
  server.on('request', serve);
  if (onUpgrade !== undefined) server.on('upgrade', onUpgrade);
  server.on('checkContinue', (request, response) => {
    response.writeContinue();
    serve(request, response);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE';
      const message = taken
        ? `port ${port} on ${host} is taken`
        : `cannot listen on ${host}:${port}: ${error.code ?? error.message}`;
      reject(new OrbweaverError(taken ? 'PORT_IN_USE' : 'USAGE', message, { host, port }, error));
    });
    server.listen({ host, port }, resolve);
  });
  const address = server.address();
  const bound = typeof address === 'object' && address !== null ? address.port : port;
  return {
    url: `http://${host}:${bound}`,
    port: bound,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function serveOne(
  exchange: Exchange,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const controller = new AbortController();
  response.once('close', () => controller.abort());
  const length = request.headers['content-length'];
  const { status, headers, body } = await exchange({
    method: request.method ?? 'GET',
    url: new URL(request.url ?? '/', `http://${request.headers.host ?? 'localhost'}`),
    headers: joinedHeaders(request.headers),
    // Ending its pieces would break the connection before the response.
    body: piecesBody(request, length === undefined ? undefined : Number(length), () => {}),
    signal: controller.signal,
  });
  response.writeHead(status, {
    ...(body?.sizeBytes === undefined ? {} : { 'content-length': body.sizeBytes }),
    ...headers,
    ...(request.complete ? {} : { connection: 'close' }),
  });
  for await (const piece of piecesOf(body)) {
    // The signal fires when the client is gone.
    if (!response.write(piece)) await once(response, 'drain', { signal: controller.signal });
  }
  response.end();
  if (!request.complete) discard(request);
}

function discard(request: IncomingMessage): void {
  let bytes = 0;
  request.on('data', (chunk: Uint8Array) => {
    bytes += chunk.length;
    if (bytes > MAX_DISCARDED_BYTES) request.socket.destroy();
  });
  request.resume();
}
