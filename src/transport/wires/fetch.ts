import type { Body, Exchange, HttpHeaders } from '../../http/index.js';
import { nextPieces, type StreamReader } from '../../platform/index.js';
import { FETCH_FAILED_CODE } from '../retry-table.js';
import { bodyOfPieces, isBodiless, sizeOf } from './bodies.js';

/**
 * Requests over `fetch`: for browsers, Deno and Bun, and wherever the program has one of its own. It
 * takes a request body only as one piece of memory that is not shared, so there the body is copied;
 * a stream would be sent without a length, where it can be sent at all.
 */
export function createFetchExchange(
  fetch: typeof globalThis.fetch = globalThis.fetch,
  bodyOf: (body: Body) => Promise<Uint8Array<ArrayBuffer> | Blob> = bytesOf,
  nextOf: (body: ReadableStream<Uint8Array>) => StreamReader = nextPieces,
): Exchange {
  return async ({ method, url, headers, body, signal }) => {
    const controller = new AbortController();
    const init = {
      method,
      // Where the program may not set it (browsers), it is left out in silence.
      headers: { 'accept-encoding': 'identity', ...headers },
      body: body === null ? null : await bodyOf(body),
      signal: AbortSignal.any([signal, controller.signal]),
      redirect: 'manual',
      credentials: 'omit',
      // Ranges of files have no place in the cache of a browser. What it need not keep anyway must not say so:
      // browsers ask for leave (a preflight) before each `no-store` request, and else once for a URL.
      cache: method === 'POST' || method === 'PUT' ? 'default' : 'no-store',
      referrerPolicy: 'no-referrer',
    } as RequestInit;
    let response = await told(() => fetch(url, init));
    // A browser shows no program where a redirect leads; it follows under rules of its own.
    if (response.type === 'opaqueredirect' && body === null) {
      response = await told(() => fetch(url, { ...init, redirect: 'follow' }));
    }
    const joined: HttpHeaders = Object.fromEntries(response.headers);
    const { status } = response;
    if (response.body === null || isBodiless(method, status)) {
      await response.body?.cancel();
      return { status, headers: joined, body: null };
    }
    const reader = nextOf(response.body as ReadableStream<Uint8Array>);
    const pieces = {
      next: (into: Uint8Array) => told(() => reader.next(into)),
      cancel: (reason: unknown) => {
        reader.cancel(reason).catch(() => {});
        controller.abort(reason);
      },
    };
    return { status, headers: joined, body: bodyOfPieces(pieces, sizeOf(joined)) };
  };
}

/** `fetch` says "TypeError" for whatever happened to a connection; a code makes it one of those. */
async function told<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof TypeError) || error.cause !== undefined) throw error;
    throw Object.assign(new Error(error.message, { cause: error }), { code: FETCH_FAILED_CODE });
  }
}

/** All of a body as one piece of memory. */
export async function bytesOf(body: Body): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(body.sizeBytes ?? 0);
  for (let at = 0; at < bytes.length; ) {
    const count = await body.fill(bytes.subarray(at));
    if (count === 0) throw new Error('the body ended early');
    at += count;
  }
  // The end has to be asked for as well: it is when the body is known to be sent.
  await body.fill(new Uint8Array(1));
  return bytes;
}
