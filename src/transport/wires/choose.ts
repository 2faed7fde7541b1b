import type { Exchange, HttpRequest } from '../../http/index.js';
import type { RequestDispatcher } from '../ports.js';
import type { ConnectOptions, Wire } from './connect.js';

/** What decides how requests leave; at most one is given. */
export interface WireChoice {
  /** A gateway's own exchange, or anything else that takes requests. */
  readonly exchange: Exchange | null;
  readonly fetch: typeof globalThis.fetch | null;
  readonly dispatcher: RequestDispatcher | null;
  readonly proxy: URL | null;
  /** URLs that are asked without it. */
  readonly isDirect: (url: URL) => boolean;
}

/** The code of a wire is loaded with its first request. */
export function createWire(choice: WireChoice, options: ConnectOptions): Wire {
  const { exchange, fetch, dispatcher, proxy, isDirect } = choice;
  if (exchange !== null) return foreign(exchange);
  if (fetch !== null) {
    return lazy(async () => foreign((await import('./fetch.js')).createFetchExchange(fetch)));
  }
  if (dispatcher !== null) {
    return lazy(async () =>
      foreign((await import('./dispatcher.js')).createDispatcherExchange(dispatcher)),
    );
  }
  const direct = directWire(options);
  if (proxy === null) return direct;
  const proxied = lazy(async () => (await import('./node.js')).createNodeWire(options, proxy));
  return {
    exchange: (request) => (isDirect(request.url) ? direct : proxied).exchange(request),
    close: async () => {
      await Promise.all([direct.close(), proxied.close()]);
    },
  };
}

/** Connections of our own. */
function directWire(options: ConnectOptions): Wire {
  const general = lazy(async () => (await import('./node.js')).createNodeWire(options));
  const plainReads = lazy(async () => (await import('./socket.js')).createSocketWire(options));
  return {
    exchange: (request) => (isPlainRead(request) ? plainReads : general).exchange(request),
    close: async () => {
      await Promise.all([general.close(), plainReads.close()]);
    },
  };
}

/** What the plain-socket wire is for: ranges, and no TLS. */
function isPlainRead({ url, method, headers, body }: HttpRequest): boolean {
  return url.protocol === 'http:' && method === 'GET' && body === null && 'range' in headers;
}

/** Its connections are somebody else's to close. */
function foreign(exchange: Exchange): Wire {
  return { exchange, close: async () => {} };
}

function lazy(load: () => Promise<Wire>): Wire {
  let loading: Promise<Wire> | null = null;
  return {
    async exchange(request) {
      loading ??= load();
      return (await loading).exchange(request);
    },
    async close() {
      await (await loading)?.close();
    },
  };
}
