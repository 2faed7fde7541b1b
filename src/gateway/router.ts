import type { Handler } from './call.js';
import type { RouteNeed } from './scopes.js';
import type { SignedCheck } from './signed-url.js';

/** One endpoint. */
export interface Route {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'DELETE';
  /**
   * Segments; one that starts with `:` matches any single segment and becomes a parameter, a last one that
   * starts with `*` all that is left, at least one.
   */
  readonly path: string;
  /** Is served under `path` without its version as well, where some clients look for it. */
  readonly isUnversioned?: boolean | undefined;
  /** What whoever asks must be allowed to. Null: no bearer token is looked at (signed URLs, health). */
  readonly scope: RouteNeed | null;
  /** Of a signed URL, before anything is done for the tenant that it names. */
  readonly checkSigned?: SignedCheck | undefined;
  /** What its body counts as; none: a body is not looked at. */
  readonly body?: BodyKind | undefined;
  /** How errors are told. @default as endpoints of the Xet protocol tell them */
  readonly form?: 'hub' | 'lfs' | undefined;
  /** Its responses are compressed for clients that ask for it. */
  readonly compress?: boolean | undefined;
  readonly handle: Handler;
}

/** Kinds of request bodies; each has memory of its own, but `stream`, which is never held. */
export type BodyKind = 'xorbs' | 'shards' | 'commits' | 'small' | 'stream';

/** What the path and method of a request say, before anything else is looked at. */
export type RouteMatch =
  | { readonly kind: 'route'; readonly route: Route; readonly params: ReadonlyMap<string, string> }
  | { readonly kind: 'wrong-method'; readonly allow: string }
  | { readonly kind: 'unknown' };

/**
 * Finds the endpoint for a request. Paths that the gateway does not offer are `unknown`, with any
 * method: they must respond 404 whatever the token, because clients of the protocol take 404,
 * and only 404, as "not offered" (a 401 or 405 for an upload grant ends their session).
 */
export function createRouter(routes: readonly Route[]): {
  match(method: string, pathname: string): RouteMatch;
} {
  const compiled = routes.flatMap((route) => {
    const segments = route.path.split('/');
    const own = { route, segments };
    // "/v1/shards" is "", "v1", "shards".
    return route.isUnversioned === true
      ? [own, { route, segments: segments.toSpliced(1, 1) }]
      : [own];
  });
  return {
    match(method: string, pathname: string): RouteMatch {
      const segments = pathname.split('/');
      const allow = new Set<string>();
      for (const { route, segments: pattern } of compiled) {
        const params = matchSegments(pattern, segments);
        if (params === null) continue;
        if (route.method === method) return { kind: 'route', route, params };
        allow.add(route.method);
      }
      if (allow.size > 0) return { kind: 'wrong-method', allow: [...allow].sort().join(', ') };
      return { kind: 'unknown' };
    },
  };
}

function matchSegments(
  pattern: readonly string[],
  segments: readonly string[],
): Map<string, string> | null {
  const isOpen = pattern.at(-1)?.startsWith('*') === true;
  const fits = isOpen ? segments.length >= pattern.length : segments.length === pattern.length;
  if (!fits) return null;
  const params = new Map<string, string>();
  for (const [index, expected] of pattern.entries()) {
    if (expected.startsWith('*')) {
      params.set(expected.slice(1), segments.slice(index).join('/'));
      break;
    }
    const found = segments[index] as string;
    if (expected.startsWith(':') && found !== '') params.set(expected.slice(1), found);
    else if (expected !== found) return null;
  }
  return params;
}
