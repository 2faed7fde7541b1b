import type { CasClient } from '../client/ports.js';
import {
  type CasClientOptions,
  type CheckedCasClientOptions,
  checkCasClientOptions,
} from './options.js';
import { type StoreOutside, storeClient } from './store-client.js';
import { createWire } from './wires/choose.js';

/**
 * The CAS protocol over the connections of this machine.
 *
 * @throws TypeError, RangeError for options that cannot work
 * @example
 * const cas = createCasClient({ endpoint: 'https://cas.example.com', token });
 * try { await cas.putXorb(hash, { sizeBytes, pieces }); } finally { await cas.close(); }
 */
export function createCasClient(options: CasClientOptions): CasClient {
  const checked = checkCasClientOptions(options);
  return storeClient(checked, outsideOf(checked));
}

/** How requests leave this machine. */
export function outsideOf(checked: CheckedCasClientOptions): StoreOutside {
  const { clock, lookup, ca, connectTimeoutMs, addressTimeoutMs: attemptTimeoutMs } = checked;
  return {
    lookup,
    secrets: [checked.proxy?.password ?? ''],
    wireOf: (policy) =>
      createWire(checked, { connectTimeoutMs, attemptTimeoutMs, ca, lookup, policy, clock }),
  };
}
