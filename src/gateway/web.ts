import { byteStreamOf } from './byte-stream.js';
import type { Gateway, GatewayAnswer, GatewayRequest } from './ports.js';
import { streamOf } from './streams.js';

/** Between web Requests and Responses and what the routes take and give. */

/** A web Request for the routes. */
export function fromWebRequest(request: Request): GatewayRequest {
  const url = new URL(request.url);
  return {
    method: request.method,
    origin: url.origin,
    path: url.pathname,
    query: url.search.slice(1),
    header: (name) => request.headers.get(name),
    body: request.body === null ? null : iterate(request.body),
    signal: request.signal,
  };
}

/** Leaving early cancels the stream, and does not wait for what the other side does about it. */
async function* iterate(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = body.getReader();
  let ended = false;
  try {
    for (let step = await reader.read(); !step.done; step = await reader.read()) yield step.value;
    ended = true;
  } finally {
    if (!ended) reader.cancel().catch(() => undefined);
  }
}

/** The web Response of an answer. */
export function toWebResponse(answer: GatewayAnswer): Response {
  const { status, headers, body } = answer;
  return new Response(webBody(body), { status, headers });
}

function webBody(
  body: GatewayAnswer['body'],
): ReadableStream<Uint8Array> | Uint8Array<ArrayBuffer> | null {
  if (body === null || body instanceof ReadableStream) return body;
  return body instanceof Uint8Array ? (body as Uint8Array<ArrayBuffer>) : byteStreamOf(body);
}

/**
 * Has a handler of web Requests answer what a server got; `rawHeaders` are names and values in
 * turns. Null for a request that no web Request can be made of.
 */
export function viaWeb(
  handle: Gateway['handle'],
): (request: GatewayRequest, rawHeaders: readonly string[]) => Promise<GatewayAnswer | null> {
  return async (request, rawHeaders) => {
    const incoming = toWebRequest(request, rawHeaders);
    if (incoming === null) return null;
    const { status, headers, body } = await handle(incoming);
    return { status, headers: Object.fromEntries(headers), body };
  };
}

function toWebRequest(request: GatewayRequest, rawHeaders: readonly string[]): Request | null {
  const { method, origin, path, query, body } = request;
  try {
    const headers = new Headers();
    for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
      headers.append(rawHeaders[i] as string, rawHeaders[i + 1] as string);
    }
    const url = `${origin}${path}${query === '' ? '' : `?${query}`}`;
    // Without a body nothing waits long enough to be worth the signal.
    if (body === null) return new Request(url, { method, headers });
    const { signal } = request;
    return new Request(url, { method, headers, signal, body: streamOf(body), duplex: 'half' });
  } catch {
    return null;
  }
}
