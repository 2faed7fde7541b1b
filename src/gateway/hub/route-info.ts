import type { HttpResponse } from '../../http/index.js';
import { rejected } from '../failures.js';
import { parseJson, withSmallBody } from '../json-body.js';
import { emptyResponse, jsonResponse } from '../responses.js';
import type { Route } from '../router.js';
import { commitOf, history } from './commits.js';
import type { Commit, FileEntry, TreeEntry } from './formats.js';
import type { Hub } from './hub.js';
import { lfsPointer } from './ids.js';
import {
  apiRoutes,
  entryMissing,
  isoTime,
  jsonObject,
  limitOf,
  nextLink,
  pageAfter,
  type RepoCall,
} from './kit.js';
import { idOf, pathParts } from './names.js';
import { entryAt, filesOf, walkTree } from './tree-walk.js';

/** What is in a repository: about it as a whole, its files, its commits. */
export function infoRoutes(hub: Hub): Route[] {
  return apiRoutes(hub, [
    { method: 'GET', path: '', scope: 'read', handle: (call) => info(call, 'main') },
    {
      ...{ method: 'GET', path: '/revision/:rev', scope: 'read' },
      handle: (call) => info(call, call.param('rev')),
    },
    { method: 'GET', path: '/tree/:rev', scope: 'read', handle: tree },
    { method: 'GET', path: '/tree/:rev/*path', scope: 'read', handle: tree },
    { method: 'POST', path: '/paths-info/:rev', scope: 'read', body: 'small', handle: pathsInfo },
    { method: 'GET', path: '/commits/:rev', scope: 'read', handle: commits },
    { method: 'HEAD', path: '/commits/:rev', scope: 'read', handle: commits },
    {
      ...{ method: 'GET', path: '/auth-check', scope: 'read' },
      handle: async ({ name }) => {
        await hub.repos.get(name);
        return emptyResponse(200, { 'content-length': '0' });
      },
    },
    { method: 'PUT', path: '/settings', scope: 'write', body: 'small', handle: settings },
  ]);
}

/** Most files that the description of a repository names; listings have pages. */
const MAX_SIBLINGS = 100_000;

async function info({ hub, name, query }: RepoCall, revision: string): Promise<HttpResponse> {
  const repo = await hub.repos.get(name);
  const { id: sha, commit } = await commitOf(hub, repo, revision);
  const detailed = query.get('blobs') === 'true' || query.get('blobs') === '1';
  const siblings: unknown[] = [];
  let usedBytes = 0;
  for await (const { path, file } of filesOf(hub.objects, commit.tree)) {
    if (siblings.length < MAX_SIBLINGS) {
      siblings.push({
        rfilename: path,
        ...(detailed
          ? {
              size: file.sizeBytes,
              blobId: file.blobId,
              ...(file.lfs ? { lfs: lfsInfo(file) } : {}),
            }
          : {}),
      });
    }
    usedBytes += file.sizeBytes;
  }
  const id = idOf(repo);
  return jsonResponse({
    ...{ _id: repo.uid.slice(0, 24), id, modelId: id, author: repo.namespace, sha },
    ...{ private: repo.isPrivate, gated: false, disabled: false, likes: 0, downloads: 0, tags: [] },
    lastModified: isoTime(commit.timeMs),
    createdAt: isoTime(repo.createdMs),
    siblings,
    usedStorage: usedBytes,
    ...(name.type === 'space' ? { sdk: 'static', runtime: null } : {}),
  });
}

const lfsInfo = ({ sha256, sizeBytes }: FileEntry): unknown => ({
  ...{ oid: sha256, sha256, size: sizeBytes },
  pointerSize: lfsPointer(sha256, sizeBytes).length,
});

/** An entry as listings have it. */
export function entryJson(path: string, entry: TreeEntry): Record<string, unknown> {
  if (entry.kind === 'folder') return { type: 'directory', oid: entry.tree, size: 0, path };
  const { blobId: oid, sizeBytes: size, lfs, file } = entry;
  return {
    ...{ type: 'file', oid, size, path },
    // Of small files clients of the Hub expect none; ours fetches many of them at once by this one.
    ...(lfs ? { lfs: lfsInfo(entry), xetHash: file.toString() } : { storeHash: file.toString() }),
  };
}

const PAGE_ENTRIES = 1000;
const PAGE_EXPANDED = 50;

async function tree(call: RepoCall): Promise<HttpResponse> {
  const { hub, name, param, query } = call;
  const { id, commit } = await commitOf(hub, await hub.repos.get(name), param('rev'));
  const path = param('path').replace(/\/+$/, '');
  const base = path === '' ? [] : pathParts(path);
  const folder = await entryAt(hub.objects, commit.tree, base);
  if (folder === null || folder.kind === 'file') throw entryMissing(path, id);
  const isTrue = (text: string): boolean =>
    ['true', '1'].includes((query.get(text) ?? '').toLowerCase());
  const expand = isTrue('expand');
  const limit = limitOf(query, expand ? PAGE_EXPANDED : PAGE_ENTRIES);
  const cursor = query.get('cursor');
  const after = cursor === null ? undefined : pageAfter(cursor);
  const prefix = base.length === 0 ? '' : `${base.join('/')}/`;
  const walk = walkTree(
    hub.objects,
    folder.tree,
    { recursive: isTrue('recursive'), after },
    prefix,
  );
  const page: { path: string; entry: TreeEntry }[] = [];
  let more = false;
  for await (const each of walk) {
    if (page.length === limit) {
      more = true;
      break;
    }
    page.push(each);
  }
  const last = page.at(-1)?.path.slice(prefix.length) ?? '';
  const link = more ? { link: nextLink(call, Buffer.from(last).toString('base64url')) } : {};
  return jsonResponse(await described(hub, id, page, expand), 200, link);
}

async function pathsInfo({ hub, call, name, param }: RepoCall): Promise<HttpResponse> {
  const { id, commit } = await commitOf(hub, await hub.repos.get(name), param('rev'));
  const isForm = call.request.headers['content-type']?.includes('urlencoded') === true;
  const { paths, expand } = await withSmallBody(hub.services, call, (bytes) => {
    if (isForm) {
      const form = new URLSearchParams(new TextDecoder().decode(bytes));
      return { paths: form.getAll('paths'), expand: form.get('expand')?.toLowerCase() === 'true' };
    }
    const json = parseJson(bytes) as { paths?: unknown; expand?: unknown } | null;
    return { paths: [json?.paths ?? []].flat(), expand: json?.expand === true };
  });
  const found: { path: string; entry: TreeEntry }[] = [];
  for (const path of paths) {
    if (typeof path !== 'string') throw rejected('"paths" expected texts');
    const parts = pathParts(path.replace(/\/+$/, ''));
    const entry = await entryAt(hub.objects, commit.tree, parts);
    if (entry !== null) found.push({ path: parts.join('/'), entry });
  }
  return jsonResponse(await described(hub, id, found, expand));
}

/** Commits that are looked at to say which one changed an entry last; an older one is told as the last of them. */
const MAX_LOOK_BACK = 500;

async function described(
  hub: Hub,
  head: string,
  entries: readonly { readonly path: string; readonly entry: TreeEntry }[],
  expand: boolean,
): Promise<unknown[]> {
  const described = entries.map(({ path, entry }) => entryJson(path, entry));
  if (!expand) return described;
  const open = new Map(entries.map(({ path, entry }, at) => [at, { path, name: nameOf(entry) }]));
  let newer: { id: string; commit: Commit } | null = null;
  let looked = 0;
  const tell = (at: number, { id, commit }: { id: string; commit: Commit }): void => {
    const { title, timeMs } = commit;
    (described[at] as Record<string, unknown>)['lastCommit'] = { id, title, date: isoTime(timeMs) };
    open.delete(at);
  };
  for await (const step of history(hub, head)) {
    if (newer !== null) {
      for (const [at, { path, name }] of open) {
        const then = await entryAt(hub.objects, step.commit.tree, path.split('/'));
        if (then === null || nameOf(then) !== name) tell(at, newer);
      }
    }
    newer = step;
    if (open.size === 0 || ++looked >= MAX_LOOK_BACK) break;
  }
  if (newer !== null) for (const at of open.keys()) tell(at, newer);
  return described;
}

const nameOf = (entry: TreeEntry): string => (entry.kind === 'folder' ? entry.tree : entry.sha256);

const PAGE_COMMITS = 100;

async function commits(call: RepoCall): Promise<HttpResponse> {
  const { hub, name, param, query } = call;
  const head = await commitOf(hub, await hub.repos.get(name), param('rev'));
  const limit = limitOf(query, PAGE_COMMITS);
  const page = Number(query.get('p') ?? 0);
  const from = query.get('cursor') ?? head.id;
  let skip = Number.isInteger(page) && page > 0 ? page * limit : 0;
  const found: unknown[] = [];
  let next: string | null = null;
  if (from !== head.id) await commitOf(hub, await hub.repos.get(name), from);
  for await (const { id, commit } of history(hub, from)) {
    if (skip-- > 0) continue;
    if (found.length === limit) {
      next = id;
      break;
    }
    const { author, title, message, timeMs } = commit;
    found.push({
      id,
      title,
      message,
      date: isoTime(timeMs),
      authors: [{ user: author, avatar: '' }],
    });
  }
  return jsonResponse(found, 200, {
    'x-total-count': String(head.commit.count),
    ...(next === null ? {} : { link: nextLink(call, next) }),
  });
}

/** Whether it is private, which is kept and told. */
export async function settings({ hub, call, name }: RepoCall): Promise<HttpResponse> {
  const body = await jsonObject(hub, call);
  const wanted = body['visibility'] ?? (body['private'] === true ? 'private' : 'public');
  const isPrivate = wanted === 'private';
  await hub.repos.change(name, (repo) =>
    repo.isPrivate === isPrivate ? repo : { ...repo, isPrivate },
  );
  return jsonResponse({ private: isPrivate });
}
