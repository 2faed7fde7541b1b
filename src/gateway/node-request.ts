import type { IncomingMessage, ServerResponse } from 'node:http';
import type { GatewayRequest } from './ports.js';

/** From node:http requests to those of the gateway. */

/** One request and its answer. */
export interface Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The client asked to be told before it sends its body, and was not told yet. */
  expectsContinue: boolean;
  /** True while we wait for bytes from the client, or for the client to take some. */
  waitsForClient: boolean;
  /** The body is not wanted any more: what comes is dropped. */
  discards: boolean;
}

/** Bytes taken from the socket before they are read, so that it is not stopped for each piece. */
const READ_AHEAD_BYTES = 256 * 1024;

const HOST = /^[A-Za-z0-9._:[\]-]+$/;
/** Targets that the URL parser leaves as they are: no dot segments, nothing to encode. */
const PLAIN_TARGET = /^(\/[A-Za-z0-9_/-]*)(?:\?([!$-~]*))?$/;

/** Null when its target or its host cannot stand in a URL. */
export function toGatewayRequest(exchange: Exchange): GatewayRequest | null {
  const { request, response } = exchange;
  const origin = originOf(request);
  const target = request.url ?? '';
  if (origin === null || !target.startsWith('/')) return null;
  const place = placeOf(origin, target);
  if (place === null) return null;
  const { rawHeaders, method = 'GET' } = request;
  let gone: AbortController | undefined;
  let body: AsyncIterable<Uint8Array> | undefined;
  return {
    method,
    origin,
    path: place.path,
    query: place.query,
    header: (name) => headerOf(rawHeaders, name),
    get body(): AsyncIterable<Uint8Array> | null {
      if (!hasBody(request)) return null;
      body ??= bodyOf(exchange);
      return body;
    },
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

function hasBody({ headers, method }: IncomingMessage): boolean {
  if (method === 'GET' || method === 'HEAD') return false;
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}

function originOf({ headers, socket }: IncomingMessage): string | null {
  const { localAddress = '127.0.0.1', localPort = 80 } = socket;
  const host = headers.host ?? `${urlHost(localAddress)}:${localPort}`;
  // Only what looks like a host and a port is put in a URL: a user or a path would change its meaning.
  if (!HOST.test(host) || !URL.canParse(`http://${host}/`)) return null;
  return new URL(`http://${host}/`).origin;
}

function placeOf(origin: string, target: string): { path: string; query: string } | null {
  const plain = PLAIN_TARGET.exec(target);
  if (plain !== null) return { path: plain[1] as string, query: plain[2] ?? '' };
  if (!URL.canParse(origin + target)) return null;
  const url = new URL(origin + target);
  return { path: url.pathname, query: url.search.slice(1) };
}

/** As `Headers.get` gives it. Node's own object drops repeated lines of some names. */
function headerOf(rawHeaders: readonly string[], name: string): string | null {
  let value: string | null = null;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const found = rawHeaders[i] as string;
    if (found.length !== name.length || found.toLowerCase() !== name) continue;
    const line = rawHeaders[i + 1] as string;
    value = value === null ? line : `${value}, ${line}`;
  }
  return value;
}

/** The host part of a URL by which this machine reaches an address that is listened on. */
export function urlHost(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}

/**
 * The request body, taken from the socket only when it is read. Nothing moves before the first
 * read: whoever waits for memory, or is turned away, costs none.
 */
function bodyOf(exchange: Exchange): AsyncIterable<Uint8Array> {
  const { request, response } = exchange;
  const pieces: Uint8Array[] = [];
  let waitingBytes = 0;
  let started = false;
  let end: 'ended' | Error | undefined;
  let wake: (() => void) | undefined;

  const stirred = (): void => {
    exchange.waitsForClient = false;
    wake?.();
    wake = undefined;
  };
  const start = (): void => {
    started = true;
    if (exchange.expectsContinue) {
      exchange.expectsContinue = false;
      response.writeContinue();
    }
    request.on('data', (chunk: Uint8Array) => {
      if (exchange.discards) return;
      // Not the Buffer itself, whose slice() is a view where everyone else's is a copy.
      pieces.push(new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength));
      waitingBytes += chunk.byteLength;
      if (waitingBytes >= READ_AHEAD_BYTES) request.pause();
      stirred();
    });
    request.once('end', () => {
      end = 'ended';
      stirred();
    });
    request.once('error', () => undefined);
    request.once('close', () => {
      end ??= new Error('the client is gone');
      stirred();
    });
    if (request.destroyed) end ??= new Error('the client is gone');
  };
  const next = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
    if (!started) start();
    while (true) {
      const piece = pieces.shift();
      if (piece !== undefined) {
        waitingBytes -= piece.byteLength;
        return { done: false, value: piece };
      }
      if (end === 'ended') return { done: true, value: undefined };
      if (end !== undefined) throw end;
      exchange.waitsForClient = true;
      request.resume();
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const drop = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
    exchange.discards = true;
    pieces.length = 0;
    return { done: true, value: undefined };
  };
  return { [Symbol.asyncIterator]: () => ({ next, return: drop }) };
}
