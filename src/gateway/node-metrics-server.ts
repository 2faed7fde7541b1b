import { createServer } from 'node:http';
import { checkOptions, is } from '../options/index.js';
import type { GatewayMetrics } from './metrics.js';
import { urlHost } from './node-request.js';
import { listen } from './node-server.js';

/** Metrics on an address of their own, which only collectors reach: no token is asked for there. */

/** Settings of {@link createMetricsServer}. */
export interface MetricsServerOptions {
  /** Address to listen on. @default '127.0.0.1' */
  readonly host?: string | undefined;
  /** 0 picks a free one. @default 0 */
  readonly port?: number | undefined;
}

/** Where metrics are served. */
export interface MetricsServer {
  /** What a collector asks for. */
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Serves `GET /metrics`, and nothing else. Why not a path of the gateway: a collector has to reach each
 * process and not whichever a balancer picks, needs no token that also opens data, and whoever can
 * reach the gateway learns nothing of what others do there.
 *
 * @throws OrbweaverError `PORT_IN_USE`; `USAGE` for an address that cannot be listened on
 * @example
 * const metrics = await createPrometheusMetrics();
 * const server = await createMetricsServer(metrics);
 * console.log(server.url);
 * await server.close();
 */
export async function createMetricsServer(
  metrics: Required<Pick<GatewayMetrics, 'read'>>,
  options: MetricsServerOptions = {},
): Promise<MetricsServer> {
  checkOptions('createMetricsServer', options, { host: is.text, port: is.integer(0, 65_535) });
  const host = options.host ?? '127.0.0.1';
  const server = createServer((request, response) => {
    request.resume();
    const [path] = (request.url ?? '').split('?');
    if (path !== '/metrics') return void response.writeHead(404).end();
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      return void response.writeHead(405, { allow: 'GET, HEAD' }).end();
    }
    metrics.read().then(
      ({ contentType, text }) => {
        response.writeHead(200, { 'content-type': contentType, 'cache-control': 'no-store' });
        response.end(text);
      },
      () => response.writeHead(500).end(),
    );
  });
  const port = await listen(server, host, options.port ?? 0);
  return {
    url: `http://${urlHost(host)}:${port}/metrics`,
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}
