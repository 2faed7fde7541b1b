import type { HttpResponse } from '../http/index.js';
import { drainBody } from './body.js';
import type { StoreState } from './ports.js';
import { jsonResponse } from './responses.js';
import type { Route } from './router.js';
import type { GatewayServices } from './services.js';

/** What `/health` says about each state of the store: reading works in all but the last. */
const STATUS_OF_STATE: Readonly<Record<StoreState['state'], number>> = {
  ok: 200,
  'read-only': 200,
  full: 507,
  failing: 503,
};

const NOT_KEPT = { 'cache-control': 'no-store' };

/** A store is looked at no more often than this: it writes a file to find out. */
const CHECK_EVERY_MS = 5_000;

/**
 * GET and HEAD /health for supervisors, /ready for balancers, POST /v1/telemetry for clients that report.
 *
 * The two differ: `/health` asks whether the process is of any use and `/ready` whether requests of every
 * kind should be sent to it.
 */
export function serviceRoutes({ store, clock, isDraining }: GatewayServices): Route[] {
  let checked: Promise<StoreState> | null = null;
  let checkedMs = 0;
  let firstState: StoreState['state'] | null = null;
  const look = async (): Promise<StoreState> => {
    if (checked === null || clock.now() - checkedMs >= CHECK_EVERY_MS) {
      checkedMs = clock.now();
      checked = store.check?.() ?? Promise.resolve({ state: 'ok', detail: '', freeBytes: null });
    }
    const found = await checked;
    firstState ??= found.state;
    return found;
  };
  const health = async (): Promise<HttpResponse> => {
    const { state, freeBytes } = await look();
    const free = freeBytes === null ? {} : { freeBytes };
    return jsonResponse({ status: state, ...free }, STATUS_OF_STATE[state]);
  };
  const ready = async (): Promise<HttpResponse> => {
    const { state } = isDraining() ? { state: 'draining' as const } : await look();
    const asFirst = state === 'read-only' && firstState === 'read-only';
    const isReady = state === 'ok' || asFirst;
    return jsonResponse({ ready: isReady, status: state }, isReady ? 200 : 503, NOT_KEPT);
  };
  return [
    { method: 'GET', path: '/ready', scope: null, handle: ready },
    { method: 'HEAD', path: '/ready', scope: null, handle: ready },
    { method: 'GET', path: '/health', scope: null, handle: health },
    { method: 'HEAD', path: '/health', scope: null, handle: health },
    {
      method: 'POST',
      path: '/v1/telemetry',
      scope: 'ask',
      body: 'small',
      // Accepted so that clients do not complain, dropped unread: nobody asked for it here.
      handle: async ({ request }) => {
        await drainBody(request.body);
        return jsonResponse({});
      },
    },
  ];
}
