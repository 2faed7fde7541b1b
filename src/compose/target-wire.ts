import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { OrbweaverError } from '../errors.js';
import {
  type Body,
  type Exchange,
  type HttpRequest,
  type HttpResponse,
  joinedHeaders,
  piecesBody,
} from '../http/index.js';

/**
 * An {@link Exchange} of `node:http` for upload targets, without a middleware: no repeats (the targets
 * do that), no redirects. The shared wires of `transport` take its place where they are at hand.
 */
export interface TargetWire {
  readonly exchange: Exchange;
  /** Ends idle connections. */
  close(): void;
}

/** A body that does not lie in memory is sent in pieces of this size. */
const PIECE_BYTES: number = 256 * 1024;
/** A body that does is handed to the socket in pieces of this size, so that progress can be told. */
const VIEW_BYTES: number = 1024 * 1024;

export function createTargetWire(): TargetWire {
  const http = new HttpAgent({ keepAlive: true });
  const https = new HttpsAgent({ keepAlive: true });
  return {
    exchange: (request) =>
      request.url.protocol === 'https:'
        ? send(request, (url, options) => httpsRequest(url, { ...options, agent: https }))
        : send(request, (url, options) => httpRequest(url, { ...options, agent: http })),
    close() {
      http.destroy();
      https.destroy();
    },
  };
}

type Open = (
  url: URL,
  options: { method: string; headers: Record<string, string | number> },
) => ReturnType<typeof httpRequest>;

async function send(request: HttpRequest, open: Open): Promise<HttpResponse> {
  const { method, url, headers, body, signal } = request;
  signal.throwIfAborted();
  const hasLength = body?.sizeBytes !== undefined || body === null;
  const needsLength = body !== null || (method !== 'GET' && method !== 'HEAD');
  const outgoing = open(url, {
    method,
    headers: {
      ...headers,
      ...(hasLength && needsLength ? { 'content-length': body?.sizeBytes ?? 0 } : {}),
    },
  });
  const onAbort = (): void => {
    outgoing.destroy(new OrbweaverError('ABORTED', 'the request was cancelled'));
  };
  signal.addEventListener('abort', onAbort, { once: true });
  const done = (): void => signal.removeEventListener('abort', onAbort);
  outgoing.once('close', done);
  const responding = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.once('response', resolve);
    // It stays for errors that come later: those break the body of the response.
    outgoing.on('error', reject);
  });
  responding.catch(() => undefined);
  const sending = pump(body, outgoing).catch((error: unknown) => {
    body?.cancel(error);
    outgoing.destroy(error instanceof Error ? error : new Error(String(error)));
  });
  const response = await responding;
  // The end of what was written may be reported a moment after the response to it.
  await Promise.race([sending, new Promise((resolve) => setImmediate(resolve))]);
  // A response that comes before the end of the request makes the rest of it pointless, and nobody may
  // go on reading from memory that its owner uses for something else.
  if (!outgoing.writableEnded) {
    body?.cancel();
    response.once('end', () => outgoing.destroy());
  } else await sending;
  return {
    status: response.statusCode ?? 0,
    headers: joinedHeaders(response.headers),
    // Ending its pieces would wait for the next one; a broken connection ends at once.
    body: piecesBody(response, undefined, () => response.destroy()),
  };
}

async function pump(body: Body | null, outgoing: ReturnType<typeof httpRequest>): Promise<void> {
  const write = (bytes: Uint8Array): Promise<void> =>
    new Promise((resolve, reject) => {
      outgoing.write(bytes, (error) => (error == null ? resolve() : reject(error)));
    });
  if (body?.nextView !== undefined) {
    for (;;) {
      const view = body.nextView(VIEW_BYTES);
      if (view.length === 0) break;
      await write(view);
    }
  } else if (body !== null) {
    const buffer = new Uint8Array(PIECE_BYTES);
    for (;;) {
      const count = await body.fill(buffer);
      if (count === 0) break;
      await write(buffer.subarray(0, count));
    }
  }
  outgoing.end();
}
