import { createStore, type Store } from './store.js';

/**
 * Where in the page somebody is. It stands behind the `#` of the address, so that the page works below any
 * prefix and can be opened again where it was.
 */
export type Route =
  | { readonly view: 'overview' }
  | { readonly view: 'repositories' }
  | { readonly view: 'transfers' }
  | RepoRoute;

export interface RepoRoute {
  readonly view: 'tree' | 'file' | 'commits';
  readonly repo: RepoName;
  readonly branch: string;
  /** Empty: the root. */
  readonly path: string;
}

/** A bucket has files and neither branches nor commits; its address names a branch all the same. */
export const REPO_TYPES = ['models', 'datasets', 'spaces', 'buckets'] as const;

export interface RepoName {
  readonly type: (typeof REPO_TYPES)[number];
  /** Namespace and name: `org/name`. */
  readonly id: string;
}

export function parseRoute(hash: string): Route {
  const parts = hash
    .replace(/^#\/?/, '')
    .split('/')
    .filter((part) => part !== '')
    .map(decoded);
  const [first, type, namespace, name, view, branch, ...path] = parts;
  if (first === 'transfers') return { view: 'transfers' };
  if (first !== 'repositories') return { view: 'overview' };
  const known = REPO_TYPES.find((each) => each === type);
  if (known === undefined || name === undefined) return { view: 'repositories' };
  return {
    view: view === 'file' || view === 'commits' ? view : 'tree',
    repo: { type: known, id: `${namespace}/${name}` },
    branch: branch ?? 'main',
    path: path.join('/'),
  };
}

export function linkTo(route: Route): string {
  if (!('repo' in route)) return `#/${route.view}`;
  const { view, repo, branch, path } = route;
  const parts = [...repo.id.split('/'), view, branch, ...path.split('/').filter(Boolean)];
  return `#/repositories/${repo.type}/${parts.map(encodeURIComponent).join('/')}`;
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const route: Store<Route> = createStore(parseRoute(location.hash));

export function followAddress(): void {
  addEventListener('hashchange', () => route.set(parseRoute(location.hash)));
}

export function goTo(next: Route): void {
  location.hash = linkTo(next);
}
