import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { OrbweaverError } from '../errors.js';

/** The part of HTTP that the test servers share: a port, a reply in JSON, a body that is small. */

/** A server on its port. */
export interface Listener {
  /** Origin, without a slash at the end. */
  readonly url: string;
  close(): Promise<void>;
}

/** Where a server listens. */
export interface ListenOptions {
  /** @default 127.0.0.1 */
  readonly host?: string | undefined;
  /** 0: a free one. @default 0 */
  readonly port?: number | undefined;
}

/** What a server does with a request, and with one that wants to become a WebSocket. */
export interface Handlers {
  readonly request: (request: IncomingMessage, response: ServerResponse) => Promise<void>;
  readonly upgrade?: ((request: IncomingMessage, socket: Duplex) => void) | undefined;
}

/** @throws OrbweaverError `PORT_IN_USE` */
export async function listen(
  handlers: Handlers,
  { host = '127.0.0.1', port = 0 }: ListenOptions,
): Promise<Listener> {
  const server = createServer((request, response) => {
    handlers.request(request, response).catch(() => response.destroy());
  });
  const { upgrade } = handlers;
  if (upgrade !== undefined) server.on('upgrade', upgrade);
  // A body takes as long as it takes.
  server.requestTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const taken = error.code === 'EADDRINUSE';
      reject(taken ? new OrbweaverError('PORT_IN_USE', `port ${port} is taken`, { port }) : error);
    });
    server.listen(port, host, resolve);
  });
  const shown = host.includes(':') ? `[${host}]` : host;
  return {
    url: `http://${shown}:${(server.address() as AddressInfo).port}`,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** Sends JSON with its length. */
export function replyJson(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): void {
  replyText(response, status, `${JSON.stringify(body)}\n`, {
    'content-type': 'application/json',
    ...headers,
  });
}

export function replyText(
  response: ServerResponse,
  status: number,
  text: string,
  headers: Readonly<Record<string, string>>,
): void {
  response.writeHead(status, { ...headers, 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

/** Bodies in JSON are small; a larger one is an attack or a mistake. */
const MAX_JSON_BYTES = 1024 * 1024;

/** The body as JSON; undefined when it is none. */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const pieces: Buffer[] = [];
  let sizeBytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    sizeBytes += piece.length;
    if (sizeBytes > MAX_JSON_BYTES) return undefined;
    pieces.push(piece);
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString());
  } catch {
    return undefined;
  }
}

/** A JSON object, or null for everything else. */
export function asObject(value: unknown): Readonly<Record<string, unknown>> | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  return value as Record<string, unknown>;
}

/** The path without its query, and the query. */
export function targetOf(request: IncomingMessage): URL {
  return new URL(request.url ?? '/', 'http://server');
}
