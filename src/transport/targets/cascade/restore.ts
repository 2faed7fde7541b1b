import { numberOf, objectOf } from '../json-fields.js';
import { createCascadeApi } from './api.js';
import { type CascadeOptions, cascadeSettings } from './options.js';

/** What a restore came to. */
export interface RestoreResult {
  readonly totalVolumes: number | null;
  readonly registeredVolumes: number | null;
  readonly pendingVolumes: number | null;
  readonly inProgressVolumes: number | null;
  readonly activatedVolumes: number | null;
  readonly recoveredVolumes: number | null;
}

/** What {@link restoreCascade} is told. */
export type RestoreOptions = Omit<CascadeOptions, 'payBurn' | 'findBurn'> & {
  readonly fileId: string;
  readonly signal: AbortSignal;
};

/**
 * Makes the server try failed volumes again. Never called by the engine: the server may spend coins
 * of its own wallet for it, and a file that was public becomes private unless `makePublic` is given
 * again. Sent once.
 *
 * @throws OrbweaverError of a class
 */
export async function restoreCascade(options: RestoreOptions): Promise<RestoreResult> {
  const { fileId, signal, ...account } = options;
  const settings = cascadeSettings({ ...account, payBurn: noPayment }, 'restoreCascade');
  const api = createCascadeApi(settings);
  const response = await api.spend(
    `/restore/${encodeURIComponent(fileId)}`,
    {
      // A capital I, unlike start.
      app_pastelId: settings.pastelId,
      make_publicly_accessible: settings.makePublic === true,
      ...(settings.spendableAddress === undefined
        ? {}
        : { spendable_address: settings.spendableAddress }),
    },
    signal,
  );
  if (response.status !== 201 && response.status !== 200) {
    throw api.failure(response, 'restoring the upload', { ids: { fileId } });
  }
  const json = objectOf(response.json);
  return {
    totalVolumes: numberOf(json?.['total_volumes']),
    registeredVolumes: numberOf(json?.['registered_volumes']),
    pendingVolumes: numberOf(json?.['volumes_with_pending_registration']),
    inProgressVolumes: numberOf(json?.['volumes_registration_in_progress']),
    activatedVolumes: numberOf(json?.['activated_volumes']),
    recoveredVolumes: numberOf(json?.['volumes_activated_in_recovery_flow']),
  };
}

async function noPayment(): Promise<string> {
  throw new TypeError('a restore does not pay through the caller');
}
