import { isOrbweaverError } from '../../errors.js';
import type { HttpResponse } from '../../http/index.js';
import { type Call, paramOf } from '../call.js';
import { rejected } from '../failures.js';
import { emptyResponse, jsonResponse } from '../responses.js';
import type { Route } from '../router.js';
import { bucketTree, changeBucket, type FailedChange, readBatch } from './buckets.js';
import { createRepo } from './commits.js';
import { hubFailure } from './errors.js';
import type { TreeEntry } from './formats.js';
import type { Hub } from './hub.js';
import {
  apiRoutes,
  decoded,
  entryMissing,
  isoTime,
  jsonObject,
  limitOf,
  nextLink,
  pageAfter,
  type RepoCall,
  repoRoute,
  userOf,
} from './kit.js';
import { idOf, pathOf, pathParts, repoKey, repoName } from './names.js';
import type { Repo } from './repos.js';
import { settings } from './route-info.js';
import { fileHeaders, fileResponse, token, xetFileInfo } from './route-resolve.js';
import { entryAt, filesOf, walkTree } from './tree-walk.js';

/** Buckets, as clients of the Hub make, list, change and read them. */
export function bucketRoutes(hub: Hub): Route[] {
  const types = ['bucket'] as const;
  const routes = apiRoutes(
    hub,
    [
      { method: 'POST', path: '', scope: 'write', body: 'small', handle: create },
      { method: 'GET', path: '', scope: 'read', handle: info },
      { method: 'DELETE', path: '', scope: 'write', handle: remove },
      { method: 'PUT', path: '/settings', scope: 'write', body: 'small', handle: settings },
      { method: 'GET', path: '/tree', scope: 'read', handle: tree },
      { method: 'GET', path: '/tree/*path', scope: 'read', handle: tree },
      { method: 'POST', path: '/paths-info', scope: 'read', body: 'small', handle: pathsInfo },
      { method: 'POST', path: '/batch', scope: 'write', body: 'commits', handle: batch },
      {
        ...{ method: 'GET', path: '/xet-read-token', scope: 'read' },
        handle: (call) => token(call, false),
      },
      {
        ...{ method: 'GET', path: '/xet-write-token', scope: 'append' },
        handle: (call) => token(call, true),
      },
    ],
    types,
  );
  const files = (['GET', 'HEAD'] as const).map((method) =>
    repoRoute(hub, 'bucket', '/buckets/:namespace/:name', {
      ...{ method, path: '/resolve/*path', scope: 'read' },
      handle: resolve,
    }),
  );
  const ofNamespace: Route = {
    ...{ method: 'GET', path: '/api/buckets/:namespace', scope: 'read', form: 'hub' },
    handle: (call) => list(hub, call),
  };
  return [...routes, ...files, ofNamespace];
}

async function create({ hub, call, name, user }: RepoCall): Promise<HttpResponse> {
  const body = await jsonObject(hub, call);
  const bucket = repoName('bucket', name.namespace, name.name);
  const url = call.baseUrl + pathOf(bucket);
  const isPrivate = body['private'] === true || body['visibility'] === 'private';
  try {
    await createRepo(hub, bucket, { isPrivate, author: user });
  } catch (error) {
    if (!isOrbweaverError(error) || error.code !== 'CONFLICT') throw error;
    throw hubFailure(409, 'RepoExists', error.message, { url });
  }
  return jsonResponse({ url, name: idOf(bucket), id: idOf(bucket) });
}

async function remove({ hub, name }: RepoCall): Promise<HttpResponse> {
  await hub.repos.remove(name);
  return emptyResponse(204);
}

async function info({ hub, name }: RepoCall): Promise<HttpResponse> {
  return jsonResponse(await described(hub, await hub.repos.get(name)));
}

async function described(hub: Hub, repo: Repo): Promise<unknown> {
  let size = 0;
  let totalFiles = 0;
  for await (const { file } of filesOf(hub.objects, await bucketTree(hub, repo))) {
    size += file.sizeBytes;
    totalFiles++;
  }
  return {
    ...{ _id: repo.uid.slice(0, 24), id: idOf(repo), author: repo.namespace, type: 'bucket' },
    ...{ private: repo.isPrivate, createdAt: isoTime(repo.createdMs), size, totalFiles },
    updatedAt: isoTime(repo.modifiedMs),
  };
}

const PAGE_BUCKETS = 100;

async function list(hub: Hub, call: Call): Promise<HttpResponse> {
  const query = call.request.url.searchParams;
  const named = decoded(paramOf(call, 'namespace')).toLowerCase();
  const namespace = named === 'me' ? userOf(call).toLowerCase() : named;
  const search = query.get('search')?.toLowerCase() ?? '';
  const after = query.get('cursor') ?? '';
  const limit = limitOf(query, PAGE_BUCKETS);
  const found: Repo[] = [];
  for await (const repo of hub.repos.list('bucket')) {
    const isWanted = repo.namespace.toLowerCase() === namespace && repoKey(repo) > after;
    if (isWanted && repo.name.toLowerCase().includes(search)) found.push(repo);
    if (found.length > limit) break;
  }
  const page = found.slice(0, limit);
  const last = page.at(-1);
  const more = found.length > limit && last !== undefined;
  const items: unknown[] = [];
  for (const repo of page) items.push(await described(hub, repo));
  return jsonResponse(items, 200, more ? { link: nextLink({ call }, repoKey(last)) } : {});
}

const PAGE_ENTRIES = 1000;

/**
 * What lies below a path: with `recursive` all files, else files and folders. The path of a file lists that
 * file, and one where nothing is an empty list, as in a store that knows prefixes only.
 */
async function tree(call: RepoCall): Promise<HttpResponse> {
  const { hub, name, param, query } = call;
  const path = param('path').replace(/^\/+|\/+$/g, '');
  const parts = path === '' ? [] : pathParts(path);
  const root = await bucketTree(hub, name);
  const entry = await entryAt(hub.objects, root, parts);
  if (entry === null) return jsonResponse([]);
  if (entry.kind === 'file') return jsonResponse([entryJson(path, entry)]);
  const recursive = ['true', '1'].includes((query.get('recursive') ?? '').toLowerCase());
  const prefix = parts.length === 0 ? '' : `${path}/`;
  const cursor = query.get('cursor');
  const after = cursor === null ? undefined : pageAfter(cursor);
  const limit = limitOf(query, PAGE_ENTRIES);
  const page: { path: string; entry: TreeEntry }[] = [];
  let more = false;
  for await (const each of walkTree(hub.objects, entry.tree, { recursive, after }, prefix)) {
    if (recursive && each.entry.kind === 'folder') continue;
    if (page.length === limit) {
      more = true;
      break;
    }
    page.push(each);
  }
  const last = page.at(-1)?.path.slice(prefix.length) ?? '';
  const link = more ? { link: nextLink(call, Buffer.from(last).toString('base64url')) } : {};
  return jsonResponse(
    page.map((each) => entryJson(each.path, each.entry)),
    200,
    link,
  );
}

function entryJson(path: string, entry: TreeEntry): unknown {
  if (entry.kind === 'folder') return { type: 'directory', path };
  const { sizeBytes: size, file, mtimeMs, uploadedMs } = entry;
  return {
    ...{ type: 'file', path, size, xetHash: file.toString() },
    ...(mtimeMs === undefined ? {} : { mtime: isoTime(mtimeMs) }),
    ...(uploadedMs === undefined ? {} : { uploadedAt: isoTime(uploadedMs) }),
  };
}

/** Files only; paths where nothing is, or a folder, are left out. */
async function pathsInfo({ hub, call, name }: RepoCall): Promise<HttpResponse> {
  const { paths } = await jsonObject(hub, call);
  if (!Array.isArray(paths)) throw rejected('"paths" expected a list');
  const root = await bucketTree(hub, name);
  const found: unknown[] = [];
  for (const path of paths) {
    if (typeof path !== 'string') throw rejected('"paths" expected texts');
    if (path === '') continue;
    const entry = await entryAt(hub.objects, root, pathParts(path.replace(/\/+$/, '')));
    if (entry?.kind === 'file') found.push(entryJson(path, entry));
  }
  return jsonResponse(found);
}

async function batch({ hub, call, name, user }: RepoCall): Promise<HttpResponse> {
  await hub.repos.get(name);
  const held = hub.services.memory.commits.open(call.request.signal);
  try {
    const { changes, failed } = await readBatch(hub, call.request.body, held);
    if (changes.length > 0) await changeBucket(hub, name, changes, user);
    return batchResponse(changes.length, failed);
  } finally {
    held.release();
  }
}

function batchResponse(succeeded: number, failed: readonly FailedChange[]): HttpResponse {
  const processed = succeeded + failed.length;
  const said = { success: failed.length === 0, processed, succeeded, failed };
  return jsonResponse(said, succeeded === 0 && failed.length > 0 ? 422 : 200);
}

async function resolve({ hub, call, name, param }: RepoCall): Promise<HttpResponse> {
  const path = pathParts(param('path'));
  const file = await entryAt(hub.objects, await bucketTree(hub, name), path);
  if (file === null || file.kind === 'folder') throw entryMissing(path.join('/'));
  const hash = file.file.toString();
  const auth = `${call.baseUrl}/api/buckets/${idOf(name)}/xet-read-token`;
  const terms = `${call.baseUrl}/v1/reconstructions/${hash}`;
  const headers = {
    ...fileHeaders(file, path.at(-1) as string),
    etag: `"${hash}"`,
    'cache-control': 'private, no-cache',
    'x-linked-etag': `"${hash}"`,
    'x-linked-size': String(file.sizeBytes),
    'x-xet-hash': hash,
    link: `<${auth}>; rel="xet-auth", <${terms}>; rel="xet-reconstruction-info"`,
  };
  return xetFileInfo(call, file, headers) ?? fileResponse(hub, call, file, headers);
}
