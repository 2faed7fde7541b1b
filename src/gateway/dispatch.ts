import type { Call, Handler } from './call.js';
import type { ObjectStore } from './ports.js';
import type { Route } from './router.js';
import type { SharedServices } from './services.js';
import { tenantIn } from './signed-url.js';
import type { TenantSets } from './tenant-sets.js';
import { nameTenant } from './tenants.js';

/**
 * The innermost handler: finds out whose data a request is about, and has the routes of that tenant
 * handle it. A principal says it, or a signed URL does, whose signature is looked at first: made-up names
 * must not make anything.
 */
export function createDispatch(parts: {
  readonly store: ObjectStore;
  readonly shared: SharedServices;
  readonly tenants: TenantSets;
  /** The routes that calls are matched with. */
  readonly offers: readonly Route[];
}): Handler {
  const { store, shared, tenants } = parts;
  const indexes = new Map(parts.offers.map((route, index) => [route, index]));
  const named = new Set<string>();

  function tenantOf(call: Call, route: Route): string | undefined {
    if (route.scope !== null) return call.principal?.tenant;
    if (route.checkSigned === undefined) return undefined;
    const tenant = tenantIn(call.request.url.searchParams);
    if (tenant !== undefined) {
      route.checkSigned(call, shared.secretsOf(tenant), shared.clock.unixMs());
    }
    return tenant;
  }

  return async (call) => {
    if (call.match.kind !== 'route') throw new TypeError('"match" expected a route');
    const { route } = call.match;
    const tenant = tenantOf(call, route);
    call.seen.tenant = tenant ?? null;
    if (tenant !== undefined && !named.has(tenant) && route.scope !== null) {
      if (route.scope === 'append' || route.scope === 'write') {
        await nameTenant(store, tenant);
        named.add(tenant);
      }
    }
    return tenants.use(tenant, ({ routes }) =>
      (routes[indexes.get(route) as number] as Route).handle(call),
    );
  };
}
