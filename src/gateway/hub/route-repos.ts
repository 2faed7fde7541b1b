import { isOrbweaverError } from '../../errors.js';
import type { HttpResponse } from '../../http/index.js';
import type { Call } from '../call.js';
import { rejected } from '../failures.js';
import { emptyResponse, jsonResponse } from '../responses.js';
import type { Route } from '../router.js';
import { createRepo, MAIN } from './commits.js';
import { ATTRIBUTES_NAME } from './default-attributes.js';
import { hubFailure } from './errors.js';
import type { FileEntry } from './formats.js';
import type { Hub } from './hub.js';
import { isoTime, jsonObject, limitOf, nextLink, userOf } from './kit.js';
import {
  HUB_TYPES,
  idOf,
  pathOf,
  REPO_TYPES,
  type RepoName,
  type RepoType,
  repoKey,
  repoName,
} from './names.js';

/** Who asks, and repositories as a whole: made, listed, renamed, deleted. */
export function repoRoutes(hub: Hub): Route[] {
  return [
    {
      ...{ method: 'GET', path: '/api/whoami-v2', scope: 'ask', form: 'hub' },
      handle: async (call) => jsonResponse(whoAmI(call)),
    },
    {
      ...{ method: 'POST', path: '/api/repos/create', scope: 'write', body: 'small', form: 'hub' },
      handle: (call) => create(hub, call),
    },
    {
      ...{
        method: 'DELETE',
        path: '/api/repos/delete',
        scope: 'write',
        body: 'small',
        form: 'hub',
      },
      handle: (call) => remove(hub, call),
    },
    {
      // Clients have the head of a README checked before they commit it.
      ...{ method: 'POST', path: '/api/validate-yaml', scope: 'ask', body: 'small', form: 'hub' },
      handle: async (call) => {
        await jsonObject(hub, call);
        return jsonResponse({ errors: [], warnings: [] });
      },
    },
    ...HUB_TYPES.map(
      (type): Route => ({
        ...{ method: 'GET', path: `/api/${type}s`, scope: 'read', form: 'hub' },
        handle: (call) => list(hub, type, call),
      }),
    ),
  ];
}

function whoAmI(call: Call): unknown {
  const user = userOf(call);
  const scope = call.principal?.scope ?? 'read';
  return {
    ...{ type: 'user', id: user, name: user, fullname: user, email: null, emailVerified: false },
    ...{ canPay: false, isPro: false, periodEnd: null, avatarUrl: '', billingMode: 'prepaid' },
    orgs: [],
    auth: {
      type: 'access_token',
      accessToken: {
        displayName: call.principal?.id ?? '',
        role: scope === 'read' ? 'read' : 'write',
        createdAt: isoTime(0),
      },
    },
  };
}

async function create(hub: Hub, call: Call): Promise<HttpResponse> {
  const body = await jsonObject(hub, call);
  const name = namedIn(body, call);
  const url = call.baseUrl + pathOf(name);
  const isPrivate = body['private'] === true || body['visibility'] === 'private';
  if (Array.isArray(body['files']) && body['files'].length > 0) {
    throw rejected('files are committed after the repository was created');
  }
  try {
    await createRepo(hub, name, {
      ...{ isPrivate, author: userOf(call) },
      files: () => firstFiles(hub, name, call.request.signal),
    });
  } catch (error) {
    if (!isOrbweaverError(error) || error.code !== 'CONFLICT') throw error;
    throw hubFailure(409, 'RepoExists', error.message, { url });
  }
  return jsonResponse({ url, name: idOf(name), id: idOf(name) });
}

async function firstFiles(
  hub: Hub,
  { type }: RepoName,
  signal: AbortSignal,
): Promise<readonly (readonly [string, FileEntry])[]> {
  const hasCommits = HUB_TYPES.some((each) => each === type);
  return hasCommits ? [[ATTRIBUTES_NAME, await hub.attributesOf(type, signal)]] : [];
}

async function remove(hub: Hub, call: Call): Promise<HttpResponse> {
  await hub.repos.remove(namedIn(await jsonObject(hub, call), call));
  return emptyResponse(204);
}

/** `name`, `organization` and `type` as clients send them. */
function namedIn(body: Readonly<Record<string, unknown>>, call: Call): ReturnType<typeof repoName> {
  const { name, organization, type = 'model' } = body;
  if (typeof name !== 'string') throw rejected('"name" expected a text');
  if (!REPO_TYPES.includes(type as RepoType)) {
    throw hubFailure(400, 'NotSupported', `"type" expected ${REPO_TYPES.join(', ')}`);
  }
  const [first, second] = name.split('/') as [string, string?];
  const owner = typeof organization === 'string' ? organization : userOf(call);
  return second === undefined
    ? repoName(type as RepoType, owner, first)
    : repoName(type as RepoType, first, second);
}

const PAGE_REPOS = 500;

async function list(hub: Hub, type: RepoType, call: Call): Promise<HttpResponse> {
  const query = call.request.url.searchParams;
  const [author, search, after] = ['author', 'search', 'cursor'].map((each) => query.get(each));
  const limit = limitOf(query, PAGE_REPOS);
  const found: unknown[] = [];
  let last = '';
  for await (const repo of hub.repos.list(type)) {
    const id = idOf(repo);
    if (after && repoKey(repo) <= after) continue;
    if (author && repo.namespace.toLowerCase() !== author.toLowerCase()) continue;
    if (search && !id.toLowerCase().includes(search.toLowerCase())) continue;
    if (found.length === limit) {
      return jsonResponse(found, 200, { link: nextLink({ call }, last) });
    }
    last = repoKey(repo);
    found.push({
      ...{ _id: repo.uid.slice(0, 24), id, modelId: id, author: repo.namespace },
      ...{
        private: repo.isPrivate,
        gated: false,
        disabled: false,
        likes: 0,
        downloads: 0,
        tags: [],
      },
      sha: repo.refs[MAIN] ?? null,
      createdAt: isoTime(repo.createdMs),
      lastModified: isoTime(repo.modifiedMs),
    });
  }
  return jsonResponse(found);
}
