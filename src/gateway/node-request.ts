import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Body, bytesBody, type HttpRequest } from '../http/index.js';
import type { FreeBytes } from '../platform/index.js';
import { bodyOfRequest } from './node-body.js';
import type { Forwarded, TrustedProxies } from './node-proxies.js';

/** From node:http requests to those of the exchange. */

/** One request and its response. */
export interface Incoming {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The client asked to be told before it sends its body, and was not told yet. */
  expectsContinue: boolean;
  /** True while we wait for bytes from the client, or for the client to take some. */
  waitsForClient: boolean;
  /** The body is not wanted any more: what comes is dropped. */
  discards: boolean;
  /** Gives the memory of a piece of the body back when it was read; null where others may see the pieces. */
  readonly freePiece: FreeBytes | null;
}

const HOST = /^[A-Za-z0-9._:[\]-]+$/;

/** Null when its target or its host cannot stand in a URL. */
export function toRequest(
  incoming: Incoming,
  target: string,
  proxies: TrustedProxies = () => null,
): HttpRequest | null {
  const { request, response } = incoming;
  const forwarded = proxies(request);
  const origin = originOf(request, forwarded);
  if (origin === null || !target.startsWith('/') || !URL.canParse(origin + target)) return null;
  let gone: AbortController | undefined;
  const headers = headersOf(request.rawHeaders);
  return {
    method: request.method ?? 'GET',
    url: new URL(origin + target),
    headers,
    client: forwarded?.client ?? request.socket.remoteAddress,
    body: bodyOf(incoming, headers),
    // Most requests never ask: the signal costs a tenth of a small one.
    get signal(): AbortSignal {
      if (gone === undefined) {
        const controller = new AbortController();
        gone = controller;
        const onClose = (): void => {
          if (!response.writableFinished) controller.abort();
        };
        if (response.destroyed) onClose();
        else response.once('close', onClose);
      }
      return gone.signal;
    },
  };
}

function originOf(
  { headers, socket }: IncomingMessage,
  forwarded: Forwarded | null,
): string | null {
  const { localAddress = '127.0.0.1', localPort = 80 } = socket;
  const own = 'encrypted' in socket && socket.encrypted === true ? 'https' : 'http';
  const scheme = forwarded?.scheme ?? own;
  const host = forwarded?.host ?? headers.host ?? `${urlHost(localAddress)}:${localPort}`;
  // Only what looks like a host and a port is put in a URL: a user or a path would change its meaning.
  if (!HOST.test(host) || !URL.canParse(`${scheme}://${host}/`)) return null;
  return new URL(`${scheme}://${host}/`).origin;
}

/** As `Headers` gives them. Node's own object drops repeated lines of some names. */
function headersOf(rawHeaders: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = Object.create(null) as Record<string, string>;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] as string).toLowerCase();
    const line = rawHeaders[i + 1] as string;
    const before = headers[name];
    headers[name] = before === undefined ? line : `${before}, ${line}`;
  }
  return headers;
}

/** The host part of a URL by which this machine reaches an address that is listened on. */
export function urlHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

/**
 * A parser in front may have read the body: what it made of it is the body then, and its length the
 * one that was declared.
 */
function bodyOf(incoming: Incoming, headers: Record<string, string>): Body | null {
  const { request } = incoming;
  if (request.method === 'GET' || request.method === 'HEAD') return null;
  const parsed = 'body' in request ? request.body : undefined;
  if (parsed !== undefined && request.readableDidRead) {
    const bytes = bytesOfParsed(parsed);
    headers['content-length'] = String(bytes.length);
    return bytesBody(bytes);
  }
  const isThere =
    request.headers['transfer-encoding'] !== undefined ||
    Number(request.headers['content-length'] ?? 0) > 0;
  return isThere ? bodyOfRequest(incoming) : null;
}

function bytesOfParsed(parsed: unknown): Uint8Array {
  if (parsed instanceof Uint8Array) return parsed;
  return new TextEncoder().encode(typeof parsed === 'string' ? parsed : JSON.stringify(parsed));
}
