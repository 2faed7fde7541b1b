import type { HttpResponse } from '../../http/index.js';
import { type Call, paramOf } from '../call.js';
import { rejected } from '../failures.js';
import { withJsonBody } from '../json-body.js';
import type { BodyKind, Route } from '../router.js';
import type { RouteNeed } from '../scopes.js';
import { hubFailure } from './errors.js';
import type { Hub } from './hub.js';
import { HUB_TYPES, type RepoName, type RepoType } from './names.js';

/** What the routes of the Hub are made with. */

/** A call about one repository. */
export interface RepoCall {
  readonly hub: Hub;
  readonly call: Call;
  readonly name: RepoName;
  /** A part of the path, decoded. */
  readonly param: (name: string) => string;
  readonly query: URLSearchParams;
  /** Who asks. */
  readonly user: string;
}

export interface RepoRoute {
  readonly method: Route['method'];
  /** Behind `/api/models/NAMESPACE/NAME`. */
  readonly path: string;
  readonly scope: RouteNeed;
  readonly body?: BodyKind | undefined;
  readonly handle: (call: RepoCall) => Promise<HttpResponse>;
}

/** Below `/api/<type>s/:namespace/:name`, for each of the types. */
export function apiRoutes(
  hub: Hub,
  routes: readonly RepoRoute[],
  types: readonly RepoType[] = HUB_TYPES,
): Route[] {
  return types.flatMap((type) =>
    routes.map((route) => repoRoute(hub, type, `/api/${type}s/:namespace/:name`, route)),
  );
}

export function repoRoute(
  hub: Hub,
  type: RepoType,
  base: string,
  { method, path, scope, body, handle }: RepoRoute,
  form: 'hub' | 'lfs' = 'hub',
): Route {
  return {
    ...{ method, path: base + path, scope, body, form },
    handle: (call) => {
      const param = (name: string): string => decoded(paramOf(call, name));
      const named = param('namespace');
      // How clients name the namespace of whoever asks, for buckets.
      const namespace = type === 'bucket' && named === 'me' ? userOf(call) : named;
      const name = param('name').replace(/\.git$/, '');
      return handle({
        ...{ hub, call, param },
        name: { type, namespace, name },
        query: call.request.url.searchParams,
        user: userOf(call),
      });
    },
  };
}

/** A name for whoever asks, of which a namespace can be made. */
export function userOf({ principal }: Call): string {
  const name = (principal?.id ?? '').replace(/[^A-Za-z0-9]+/g, '-').replace(/^-+|-+$/g, '');
  return name.slice(0, 60) || 'user';
}

/** @throws OrbweaverError 400 */
export function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch (cause) {
    throw rejected('the path expected percent-encoded UTF-8', cause);
  }
}

/** The JSON object of a small body. No body is an empty one. */
export async function jsonObject(
  { services }: Hub,
  call: Call,
): Promise<Readonly<Record<string, unknown>>> {
  if (call.request.body === null || call.request.headers['content-length'] === '0') return {};
  const json = await withJsonBody(services, call, (value) => value);
  if (typeof json !== 'object' || json === null || Array.isArray(json)) {
    throw rejected('the body expected a JSON object');
  }
  return json as Readonly<Record<string, unknown>>;
}

export function entryMissing(path: string, commit?: string): Error {
  const message = `Entry not found: ${path.slice(0, 300)}`;
  return hubFailure(404, 'EntryNotFound', message, commit === undefined ? {} : { commit });
}

export const isoTime = (ms: number): string => new Date(ms).toISOString();

/** `Link` to the next page of a list. */
export function nextLink({ call }: Pick<RepoCall, 'call'>, cursor: string): string {
  const url = new URL(call.baseUrl + call.path);
  for (const [name, value] of call.request.url.searchParams) {
    if (name !== 'cursor') url.searchParams.append(name, value);
  }
  url.searchParams.set('cursor', cursor);
  return `<${url.href}>; rel="next"`;
}

/** Where the page of a listing of files begins: names of the last path of the page before. */
export function pageAfter(cursor: string): string[] {
  return Buffer.from(cursor, 'base64url').toString('utf8').split('/');
}

/** `limit` of a query: at most `most`, which is what it is when nothing was said. */
export function limitOf(query: URLSearchParams, most: number): number {
  const limit = Number(query.get('limit') ?? most);
  return Number.isInteger(limit) && limit > 0 ? Math.min(limit, most) : most;
}
