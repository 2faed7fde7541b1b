import type { ObjectStore } from './ports.js';
import { prefixedStore } from './stores/prefixed-store.js';

/**
 * Tenants: each has a store of its own below `tenants/<tenant>/` of the one that holds everything, so
 * nothing that is answered to one depends on what another has. Whoever names no tenant has the root.
 *
 * An empty object `tenant-names/<tenant>` is put before the first one of a tenant, so that a listing of
 * tenants is not one of all that they have.
 */

const TENANT = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const NAMES_PREFIX = 'tenant-names/';

/** What a name of a tenant looks like, as a phrase for messages. */
export const TENANT_EXPECTED =
  '1 to 64 of a-z, 0-9, ".", "_" and "-", the first a letter or a digit';

export function isTenant(name: string): boolean {
  return TENANT.test(name);
}

/** @throws TypeError for what is no name of a tenant */
export function checkTenant(name: string | undefined): void {
  if (name === undefined || isTenant(name)) return;
  throw new TypeError(`"tenant" expected ${TENANT_EXPECTED}, got ${JSON.stringify(name)}`);
}

/**
 * The part of a store that belongs to a tenant; the store itself for `undefined`, who is everybody that
 * names none.
 *
 * @throws TypeError for what is no name of a tenant
 */
export function tenantStore(store: ObjectStore, tenant: string | undefined): ObjectStore {
  checkTenant(tenant);
  return tenant === undefined ? store : prefixedStore(store, `tenants/${tenant}/`);
}

/**
 * Names of all tenants that ever stored something.
 *
 * @example
 * for await (const tenant of tenantsOf(store)) await visit(tenantStore(store, tenant));
 */
export async function* tenantsOf(store: ObjectStore): AsyncGenerator<string, void, undefined> {
  for await (const { key } of store.list(NAMES_PREFIX)) {
    const name = key.slice(NAMES_PREFIX.length);
    if (isTenant(name)) yield name;
  }
}

/** Makes a tenant known to {@link tenantsOf}; before anything is stored for it. */
export async function nameTenant(store: ObjectStore, tenant: string): Promise<void> {
  await store.put(NAMES_PREFIX + tenant, new Uint8Array(0));
}
