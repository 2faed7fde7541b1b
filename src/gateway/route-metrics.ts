import { bytesResponse } from './responses.js';
import type { Route } from './router.js';
import type { GatewayServices } from './services.js';

/** GET /metrics for admins, where metrics are kept that can be read. */
export function metricsRoutes({ settings: { metrics } }: GatewayServices): Route[] {
  const read = metrics?.read;
  if (read === undefined) return [];
  return [
    {
      method: 'GET',
      path: '/metrics',
      scope: 'admin',
      handle: async () => {
        const { contentType, text } = await read.call(metrics);
        const bytes = new TextEncoder().encode(text);
        return bytesResponse(bytes, { 'content-type': contentType, 'cache-control': 'no-store' });
      },
    },
  ];
}
