import type { Route } from '../router.js';
import { createHub, type Hub, type HubParts } from './hub.js';
import { bucketRoutes } from './route-buckets.js';
import { commitRoutes } from './route-commit.js';
import { discussionRoutes } from './route-discussions.js';
import { infoRoutes } from './route-info.js';
import { lfsRoutes } from './route-lfs.js';
import { repoRoutes } from './route-repos.js';
import { resolveRoutes } from './route-resolve.js';

/**
 * The Hub's side of the server: repositories with files, branches and commits over the same store, spoken
 * to by clients of the Hub and of Git LFS. `route-*.ts` are the endpoints; what is stored is in
 * `formats.ts` (trees and commits), `repos.ts` (repositories) and `claims.ts` (which file has which SHA-256).
 */

/** Null: the store has no place for what changes. */
export function hubOver(parts: HubParts): { readonly hub: Hub; readonly routes: Route[] } | null {
  const hub = createHub(parts);
  if (hub === null) return null;
  const routes = [
    ...repoRoutes(hub),
    ...infoRoutes(hub),
    ...bucketRoutes(hub),
    ...discussionRoutes(hub),
    ...commitRoutes(hub),
    ...lfsRoutes(hub),
    ...resolveRoutes(hub),
  ];
  return { hub, routes };
}

export type { HubEngine, HubStored, HubUpload } from './engine.js';
export type { Hub } from './hub.js';
export { type PrunedRepositories, type PruneOptions, pruneRepositories } from './prune.js';
export { openRepositories, type Repositories, type RepositoryInfo } from './repositories.js';
export { hubRoots, sweepHub } from './roots.js';
export { basicTokens, hubErrors, prefixedTokens } from './steps.js';
