import { existsSync } from 'node:fs';
import { OrbweaverError } from '../errors.js';
import { isS3Place, type ObjectStore, openStore, tenantStore, tenantsOf } from '../gateway.js';
import { type ParsedArgs, usage } from './command.js';
import type { CliContext } from './context.js';
import { placeOf, s3Of } from './place.js';

/** A store, or a tenant's part of it. */
export interface Part {
  /** Undefined: the root, which belongs to everybody who names no tenant. */
  readonly tenant: string | undefined;
  readonly store: ObjectStore;
}

/**
 * Opens the store of a command line. One that is read or cleaned has to be there.
 * @throws OrbweaverError `INPUT_NOT_FOUND`
 */
export async function openPlace(
  place: string | undefined,
  from: { readonly args: ParsedArgs; readonly context: CliContext; readonly isMade?: boolean },
): Promise<ObjectStore> {
  if (place === undefined || place === '') throw usage('store expected a PLACE');
  const { args, context, isMade = false } = from;
  const opened = placeOf(place, context);
  if (!isMade && !isS3Place(place) && !existsSync(opened)) {
    throw new OrbweaverError('INPUT_NOT_FOUND', `there is no store "${place}"`, { path: place });
  }
  return openStore(opened, { s3: s3Of(args) });
}

/** All parts of a store, or the one of --tenant. */
export async function partsOf(store: ObjectStore, args: ParsedArgs): Promise<readonly Part[]> {
  const only = args.text('tenant');
  if (only !== undefined) return [{ tenant: only, store: tenantStore(store, only) }];
  const parts: Part[] = [{ tenant: undefined, store }];
  for await (const tenant of tenantsOf(store)) {
    parts.push({ tenant, store: tenantStore(store, tenant) });
  }
  return parts;
}
