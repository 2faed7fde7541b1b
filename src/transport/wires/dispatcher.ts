import {
  type Exchange,
  type HttpRequest,
  type HttpResponse,
  joinedHeaders,
} from '../../http/index.js';
import type { RequestDispatcher } from '../ports.js';
import { bodyOfPieces, isBodiless, sizeOf, writesOf } from './bodies.js';

/**
 * Requests over a dispatcher of undici that the caller brings along: what `node:http` has no way for (HTTP/2,
 * sockets of another kind, mocks).
 */
export function createDispatcherExchange(dispatcher: RequestDispatcher): Exchange {
  return async ({ method, url, headers, body, signal }: HttpRequest): Promise<HttpResponse> => {
    signal.throwIfAborted();
    const length = body?.sizeBytes;
    const controller = new AbortController();
    const response = await dispatcher.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method,
      headers: {
        ...headers,
        ...(length === undefined ? {} : { 'content-length': String(length) }),
      },
      body: body === null ? null : writesOf(body),
      signal: AbortSignal.any([signal, controller.signal]),
      // They count time and not progress; the watchdog above replaces them.
      headersTimeout: 0,
      bodyTimeout: 0,
    });
    // Without a listener an abort between two reads would be an uncaught exception.
    response.body.on('error', () => {});
    const status = response.statusCode;
    const joined = joinedHeaders(response.headers);
    const pieces = response.body[Symbol.asyncIterator]();
    if (isBodiless(method, status)) {
      await pieces.next().catch(() => undefined);
      return { status, headers: joined, body: null };
    }
    const reader = {
      async next(): Promise<Uint8Array | null> {
        const step = await pieces.next();
        return step.done === true ? null : step.value;
      },
      cancel: (reason: unknown) => controller.abort(reason),
    };
    return { status, headers: joined, body: bodyOfPieces(reader, sizeOf(joined)) };
  };
}
