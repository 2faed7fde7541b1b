import type { Exchange } from '../../http/index.js';
import type { RequestDispatcher } from '../ports.js';
import type { ConnectOptions, Wire } from './connect.js';

/** What decides how requests leave; at most one is given. */
export interface WireChoice {
  /** A gateway's own exchange, or anything else that takes requests. */
  readonly exchange: Exchange | null;
  readonly fetch: typeof globalThis.fetch | null;
  readonly dispatcher: RequestDispatcher | null;
  readonly proxy: URL | null;
}

/** Code of a wire is loaded with its first request. */
export function createWire(choice: WireChoice, options: ConnectOptions): Wire {
  const { exchange, fetch, dispatcher, proxy } = choice;
  const noEnd = async (): Promise<void> => {};
  if (exchange !== null) return { exchange, close: noEnd };
  return lazy(async () => {
    if (fetch !== null) {
      const { createFetchExchange } = await import('./fetch.js');
      return { exchange: createFetchExchange(fetch), close: noEnd };
    }
    if (dispatcher !== null) {
      const { createDispatcherExchange } = await import('./undici.js');
      return { exchange: createDispatcherExchange(dispatcher), close: noEnd };
    }
    if (proxy !== null) {
      const { createProxyWire } = await import('./undici.js');
      return createProxyWire(proxy, options);
    }
    return createOwnWire(options);
  });
}

/** Connections of our own: `node:http`, and for ranges over `http:` sockets that are read directly. */
async function createOwnWire(options: ConnectOptions): Promise<Wire> {
  const [{ createNodeWire }, { createSocketWire, isPlainRead }] = await Promise.all([
    import('./node.js'),
    import('./socket.js'),
  ]);
  const general = createNodeWire(options);
  const plainReads = createSocketWire(options);
  return {
    exchange: (request) => (isPlainRead(request) ? plainReads : general).exchange(request),
    async close() {
      await Promise.all([general.close(), plainReads.close()]);
    },
  };
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
