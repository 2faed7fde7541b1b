import { isOrbweaverError } from '../../errors.js';
import type { HttpResponse } from '../../http/index.js';
import { type Call, paramOf } from '../call.js';
import { rejected } from '../failures.js';
import { emptyResponse, jsonResponse } from '../responses.js';
import type { Route } from '../router.js';
import { contentOf } from './commit-body.js';
import { createInlineFiles, textOf, type Value } from './commit-files.js';
import { createRepo, MAIN } from './commits.js';
import { ATTRIBUTES_NAME } from './default-attributes.js';
import { hubFailure } from './errors.js';
import type { Hub } from './hub.js';
import { decoded, isoTime, jsonObject, limitOf, nextLink, userOf } from './kit.js';
import { lfsHoldings } from './lfs-files.js';
import {
  HUB_TYPES,
  idOf,
  pathOf,
  pathParts,
  REPO_TYPES,
  type RepoName,
  type RepoType,
  repoKey,
  repoName,
} from './names.js';
import type { Repo } from './repos.js';
import { heldBytes } from './roots.js';
import type { Change } from './tree-edit.js';

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
    {
      ...{ method: 'GET', path: '/api/settings/repositories', scope: 'read', form: 'hub' },
      handle: (call) => listStorage(hub, call, null),
    },
    {
      method: 'GET',
      path: '/api/organizations/:namespace/settings/repositories',
      ...{ scope: 'read', form: 'hub' },
      handle: (call) => listStorage(hub, call, decoded(paramOf(call, 'namespace'))),
    },
    {
      // Of our own: the Hub has no such repositories.
      ...{ method: 'GET', path: '/api/settings/git-repositories', scope: 'read', form: 'hub' },
      handle: (call) => listGit(hub, call),
    },
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
  try {
    await createRepo(hub, name, {
      ...{ isPrivate, author: userOf(call) },
      files: () => firstFiles(hub, name, body['files'] ?? [], call.request.signal),
    });
  } catch (error) {
    if (!isOrbweaverError(error) || error.code !== 'CONFLICT') throw error;
    throw hubFailure(409, 'RepoExists', error.message, { url });
  }
  return jsonResponse({ url, name: idOf(name), id: idOf(name) });
}

/** The rules for large files, and small files that came along. */
async function firstFiles(
  hub: Hub,
  { type }: RepoName,
  files: unknown,
  signal: AbortSignal,
): Promise<readonly Change[]> {
  if (!Array.isArray(files)) throw rejected('"files" expected a list');
  if (!HUB_TYPES.some((each) => each === type)) {
    if (files.length === 0) return [];
    throw rejected(`a ${type} expected to be created without files`);
  }
  const file = await hub.attributesOf(type, signal);
  const changes: Change[] = [{ kind: 'put', path: [ATTRIBUTES_NAME], file }];
  const inline = createInlineFiles(hub, signal, changes);
  for (const each of files as readonly unknown[]) {
    if (typeof each !== 'object' || each === null) throw rejected('"files" expected objects');
    const value = each as Value;
    await inline.add(pathParts(textOf(value, 'path')), contentOf(value));
  }
  await inline.flush();
  return changes;
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

/** Those with branches here, and buckets. */
const LISTED_TYPES: readonly RepoType[] = [...HUB_TYPES, 'bucket'];
/** All trees of each are read. */
const PAGE_STORAGE = 100;

/** All repositories, or those of a namespace, with what they hold. */
async function listStorage(hub: Hub, call: Call, namespace: string | null): Promise<HttpResponse> {
  const query = call.request.url.searchParams;
  const after = query.get('cursor') ?? '';
  const limit = limitOf(query, PAGE_STORAGE);
  const found: Repo[] = [];
  for (const type of LISTED_TYPES.toSorted()) {
    for await (const repo of hub.repos.list(type)) {
      const isIts = namespace === null || repo.namespace.toLowerCase() === namespace.toLowerCase();
      if (isIts && repoKey(repo) > after && found.length <= limit) found.push(repo);
    }
  }
  const page = found.slice(0, limit);
  const said: unknown[] = [];
  for (const repo of page) {
    said.push({
      ...{ id: idOf(repo), type: repo.type, updatedAt: isoTime(repo.modifiedMs) },
      ...{ visibility: repo.isPrivate ? 'private' : 'public', storage: await heldBytes(hub, repo) },
    });
  }
  const last = page.at(-1);
  const isMore = last !== undefined && found.length > limit;
  return jsonResponse(said, 200, isMore ? { link: nextLink({ call }, repoKey(last)) } : {});
}

/** Git repositories elsewhere, by what they keep here. */
async function listGit(hub: Hub, call: Call): Promise<HttpResponse> {
  const query = call.request.url.searchParams;
  const after = query.get('cursor') ?? '';
  const limit = limitOf(query, PAGE_STORAGE);
  const found: Repo[] = [];
  for await (const repo of hub.repos.list('git')) {
    if (repoKey(repo) > after && found.length <= limit) found.push(repo);
  }
  const page = found.slice(0, limit);
  const said: unknown[] = [];
  for (const repo of page) {
    const { fileCount, sizeBytes } = await lfsHoldings(hub, repo);
    const updatedAt = isoTime(repo.modifiedMs);
    said.push({ id: idOf(repo), updatedAt, files: fileCount, storage: sizeBytes });
  }
  const last = page.at(-1);
  const isMore = last !== undefined && found.length > limit;
  return jsonResponse(said, 200, isMore ? { link: nextLink({ call }, repoKey(last)) } : {});
}
