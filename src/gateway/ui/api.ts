import type { HttpResponse } from '../../http/index.js';
import type { Call } from '../call.js';
import { jsonResponse } from '../responses.js';
import type { Route } from '../router.js';
import type { RouteNeed } from '../scopes.js';
import type { GatewayServices } from '../services.js';
import type { Turns } from '../turns.js';
import type { Activity, Viewer } from './activity.js';
import { PERIOD_MS } from './ring.js';
import { createStoreCounts } from './store-counts.js';

/**
 * What the page asks besides the endpoints of repositories: who it is, what the store holds, what goes on.
 * For one tenant; only admins are told of others.
 */
export function apiRoutes(
  services: GatewayServices,
  parts: {
    readonly activity: Activity;
    readonly startedMs: number;
    readonly hasRepositories: boolean;
    readonly countTurns: Turns;
  },
): Route[] {
  const { activity, startedMs, hasRepositories, countTurns } = parts;
  const { clock, memory, settings } = services;
  const counts = createStoreCounts(services, countTurns);

  const session = ({ principal }: Call): unknown => ({
    id: principal?.id ?? '',
    scope: principal?.scope ?? 'read',
    tenant: principal?.tenant ?? null,
    hasRepositories,
    startedMs,
  });

  const now = (call: Call): unknown => {
    const viewer = viewerOf(call);
    const { count, requests } = activity.active(viewer);
    return {
      nowMs: clock.unixMs(),
      activeCount: count,
      active: requests,
      memory: viewer.isAdmin
        ? { usedBytes: memory.whole.usedBytes, maxBytes: settings.maxMemory }
        : null,
    };
  };

  const history = (call: Call): unknown => {
    const viewer = viewerOf(call);
    return {
      nowMs: clock.unixMs(),
      periodMs: PERIOD_MS,
      samples: activity.samples(viewer),
      faults: activity.faults(viewer),
    };
  };

  const ask = (path: string, scope: RouteNeed, handle: (call: Call) => unknown): Route => ({
    ...{ method: 'GET', path: `/ui/api/${path}`, scope, compress: true },
    handle: async (call): Promise<HttpResponse> =>
      jsonResponse(handle(call), 200, { 'cache-control': 'no-store' }),
  });
  return [
    ask('session', 'ask', session),
    ask('store', 'read', () => counts.look()),
    ask('now', 'read', now),
    ask('history', 'read', history),
  ];
}

function viewerOf({ principal }: Call): Viewer {
  return { isAdmin: principal?.scope === 'admin', tenant: principal?.tenant };
}
