import { createRequire } from 'node:module';
import type { Dispatcher } from 'undici';
import { joinedHeader, type Wire, type WireAnswer, type WireRequest } from './wire.js';

/**
 * Requests over a dispatcher of undici: what `node:http` has no answer to. That is a proxy, and
 * whatever the caller brings along (HTTP/2, sockets of another kind, mocks). undici itself is loaded
 * for a proxy only; a caller's dispatcher comes with its own.
 */
export function createUndiciWire(dispatcher: Dispatcher, end: () => Promise<void>): Wire {
  return {
    send(wanted) {
      const controller = new AbortController();
      return {
        answer: answerOf(dispatcher, wanted, controller.signal),
        destroy: () => controller.abort(),
      };
    },
    close: end,
  };
}

async function answerOf(
  dispatcher: Dispatcher,
  { url, method, headers, body }: WireRequest,
  signal: AbortSignal,
): Promise<WireAnswer> {
  const response = await dispatcher.request({
    origin: url.origin,
    path: url.pathname + url.search,
    method,
    headers: {
      ...headers,
      ...(body === null ? {} : { 'content-length': String(body.sizeBytes) }),
    },
    // The declared body types stop at streams; any iterable of bytes is taken.
    body: (body?.writes ?? null) as unknown as Dispatcher.DispatchOptions['body'] & object,
    signal,
    // They count time and not progress; the watchdog above replaces them.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  // Without a listener an abort between two reads would be an uncaught exception.
  response.body.on('error', () => {});
  const pieces = response.body[Symbol.asyncIterator]() as AsyncIterator<Uint8Array, unknown>;
  return {
    status: response.statusCode,
    header: (name) => joinedHeader(response.headers[name]),
    async read() {
      const step = await pieces.next();
      return step.done === true ? null : step.value;
    },
  };
}

/** Everything through the proxy at `proxy`, in tunnels: TLS is with the server and not with it. */
export function createProxyWire(
  proxy: URL,
  { connectTimeoutMs, ca }: { readonly connectTimeoutMs: number; readonly ca: string },
): Wire {
  let wire: Wire | null = null;
  const open = (): Wire => {
    const { ProxyAgent } = createRequire(import.meta.url)('undici') as typeof import('undici');
    const agent = new ProxyAgent({
      uri: proxy.href,
      connectTimeout: connectTimeoutMs,
      ...(ca === '' ? {} : { requestTls: { ca } }),
      pipelining: 1,
      allowH2: false,
    });
    return createUndiciWire(agent, () => agent.destroy());
  };
  return {
    send(request) {
      wire ??= open();
      return wire.send(request);
    },
    close: async () => wire?.close(),
  };
}
