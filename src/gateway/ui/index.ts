import type { Clock } from '../../flow/index.js';
import type { Hasher } from '../../hash/ports.js';
import type { Call } from '../call.js';
import type { Step } from '../middleware.js';
import type { Route } from '../router.js';
import type { GatewayServices } from '../services.js';
import { createTurns } from '../turns.js';
import { createActivity } from './activity.js';
import { apiRoutes } from './api.js';
import { pageFileRoutes, type UiPage } from './page-files.js';

/**
 * The operator's page on the server's side: its files, what it asks (`api.ts`), and what is kept in memory to
 * answer that (`activity.ts`, `store-counts.ts`). The page itself is the module `ui`.
 */
export interface Ui {
  readonly step: Step;
  fault(call: Call, error: unknown): void;
  /** The same list for each tenant. */
  routes(services: GatewayServices, hasRepositories: boolean): Route[];
}

export function createUi(
  page: UiPage,
  { hasher, clock }: { readonly hasher: Hasher; readonly clock: Clock },
): Ui {
  const activity = createActivity(clock);
  const files = pageFileRoutes(page, hasher);
  const countTurns = createTurns(1);
  const startedMs = clock.unixMs();
  return {
    step: activity.step,
    fault: activity.fault,
    routes: (services, hasRepositories) => [
      ...apiRoutes(services, { activity, startedMs, hasRepositories, countTurns }),
      ...files,
    ],
  };
}

export type { UiFile, UiPage } from './page-files.js';
