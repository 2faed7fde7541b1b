import { drainBody } from './body.js';
import type { GatewayAnswer } from './ports.js';
import { jsonAnswer } from './responses.js';
import type { Route } from './router.js';

/** Telemetry bodies are at most this long; the protocol says 413 above. */
export const TELEMETRY_MAX_BYTES: number = 1024 * 1024;

/** GET and HEAD /health for supervisors, POST /v1/telemetry for clients that report. */
export function serviceRoutes(): Route[] {
  const health = async (): Promise<GatewayAnswer> => jsonAnswer({ status: 'ok' });
  return [
    { method: 'GET', path: '/health', scope: null, handle: health },
    { method: 'HEAD', path: '/health', scope: null, handle: health },
    {
      method: 'POST',
      path: '/v1/telemetry',
      scope: 'read',
      // Accepted so that clients do not complain, dropped unread: nobody asked for it here.
      handle: async ({ request }) => {
        await drainBody(request, TELEMETRY_MAX_BYTES);
        return jsonAnswer({});
      },
    },
  ];
}
