import { Scope } from '../../flow/index.js';
import type { HttpResponse } from '../../http/index.js';
import { rejected } from '../failures.js';
import { emptyResponse, jsonResponse } from '../responses.js';
import type { Route } from '../router.js';
import { createTurns } from '../turns.js';
import { INLINE_MAX_BYTES, readCommitBody } from './commit-body.js';
import {
  branchRef,
  commitOf,
  commitTo,
  MAIN,
  refOf,
  revisionMissing,
  squash,
  tagRef,
} from './commits.js';
import { hubFailure } from './errors.js';
import type { Hub } from './hub.js';
import { apiRoutes, jsonObject, type RepoCall } from './kit.js';
import { checkRefName, pathOf, pathParts } from './names.js';
import { proposeCommit } from './pull-requests.js';
import { entryAt } from './tree-walk.js';
import { createIgnoring, createUploadModes } from './upload-modes.js';

/** Commits of one tenant whose bodies are read at a time: each holds some small files. */
const CONCURRENT_COMMITS = 4;

/** What changes a repository: commits, branches, tags. */
export function commitRoutes(hub: Hub): Route[] {
  const turns = createTurns(CONCURRENT_COMMITS, hub.services.settings.maxWaitingCount);
  return apiRoutes(hub, [
    { method: 'POST', path: '/preupload/:rev', scope: 'write', body: 'small', handle: preupload },
    {
      ...{ method: 'POST', path: '/commit/:rev', scope: 'write', body: 'commits' },
      async handle(call) {
        const { signal } = call.call.request;
        const scope = new Scope({ signal, what: 'the request' });
        try {
          return await turns.take(scope, () => commit(call));
        } finally {
          scope.close();
        }
      },
    },
    { method: 'GET', path: '/refs', scope: 'read', handle: refs },
    { method: 'POST', path: '/branch/*branch', scope: 'write', body: 'small', handle: addBranch },
    { method: 'DELETE', path: '/branch/*branch', scope: 'write', handle: dropBranch },
    { method: 'POST', path: '/tag/*tag', scope: 'write', body: 'small', handle: addTag },
    { method: 'DELETE', path: '/tag/*tag', scope: 'write', handle: dropTag },
    { method: 'POST', path: '/super-squash/:rev', scope: 'write', body: 'small', handle: squashed },
  ]);
}

type Committing = Pick<RepoCall, 'hub' | 'call' | 'name' | 'query' | 'user'>;

async function makeCommit(
  { hub, call, name, query, user }: Committing,
  branch: string,
): Promise<{ readonly id: string; readonly num: number | null }> {
  const { body, signal } = call.request;
  const held = hub.services.memory.commits.open(signal);
  try {
    const request = { ...(await readCommitBody(hub, body, { signal, held })), author: user };
    const isProposed = ['1', 'true'].includes(query.get('create_pr') ?? '');
    if (isProposed) return await proposeCommit(hub, name, branch, request);
    return { id: await commitTo(hub, name, branch, request), num: null };
  } finally {
    held.release();
  }
}

/** Says of each file how it is to be sent, and what is under its path now. */
async function preupload({ hub, call, name, param }: RepoCall): Promise<HttpResponse> {
  const { commit } = await commitOf(hub, await hub.repos.get(name), param('rev'));
  const { files, gitAttributes, gitIgnore } = await jsonObject(hub, call);
  if (!Array.isArray(files)) throw rejected('"files" expected a list');
  const rules = typeof gitAttributes === 'string' ? gitAttributes : undefined;
  const modeOf = createUploadModes(hub, commit.tree, rules);
  const ignored = typeof gitIgnore === 'string' ? gitIgnore : undefined;
  const isIgnored = await createIgnoring(hub, commit.tree, ignored);
  const said: unknown[] = [];
  for (const each of files as readonly (Readonly<Record<string, unknown>> | null)[]) {
    const { path: text, size, sample } = each ?? {};
    if (typeof text !== 'string') throw rejected('"path" expected a text');
    const path = pathParts(text);
    const uploadMode = await modeOf({
      path,
      sizeBytes: typeof size === 'number' ? size : 0,
      sample: typeof sample === 'string' ? Buffer.from(sample, 'base64') : new Uint8Array(0),
    });
    const entry = await entryAt(hub.objects, commit.tree, path);
    // What the client compares its own file with: it is left out of the commit when both are equal.
    const oid = entry?.kind === 'file' ? { oid: entry.lfs ? entry.sha256 : entry.blobId } : {};
    said.push({ path: text, uploadMode, shouldIgnore: isIgnored(path), ...oid });
  }
  return jsonResponse({ files: said, commitOid: undefined, maxRegularBytes: INLINE_MAX_BYTES });
}

async function commit({ hub, call, name, param, query, user }: RepoCall): Promise<HttpResponse> {
  const branch = param('rev');
  // Before megabytes are read for a branch that is not there.
  if (refOf((await hub.repos.get(name)).refs, branchRef(branch)) === null) {
    await commitTo(hub, name, branch, { changes: [], title: '', message: '', author: user });
  }
  const made = await makeCommit({ hub, call, name, query, user }, branch);
  const page = call.baseUrl + pathOf(name);
  return jsonResponse({
    success: true,
    commitOid: made.id,
    commitUrl: `${page}/commit/${made.id}`,
    hookOutput: '',
    ...(made.num === null ? {} : { pullRequestUrl: `${page}/discussions/${made.num}` }),
  });
}

async function refs({ hub, name, query }: RepoCall): Promise<HttpResponse> {
  const repo = await hub.repos.get(name);
  const under = (prefix: string): unknown[] =>
    Object.entries(repo.refs)
      .filter(([ref]) => ref.startsWith(prefix))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([ref, targetCommit]) => ({ name: ref.slice(prefix.length), ref, targetCommit }));
  return jsonResponse({
    branches: under('refs/heads/'),
    tags: under('refs/tags/'),
    converts: [],
    ...(query.has('include_prs') ? { pullRequests: under('refs/pr/') } : {}),
  });
}

async function addBranch(call: RepoCall): Promise<HttpResponse> {
  const { hub, param } = call;
  const branch = checkRefName(param('branch'));
  if (branch.startsWith('refs/')) throw rejected('"refs/…" is no name for a branch');
  const { startingPoint } = await jsonObject(hub, call.call);
  await addRef(call, branchRef(branch), `branch ${branch}`, startingPoint ?? 'main');
  return emptyResponse(201);
}

async function addTag(call: RepoCall): Promise<HttpResponse> {
  const { hub, param } = call;
  const { tag } = await jsonObject(hub, call.call);
  if (typeof tag !== 'string') throw rejected('"tag" expected a text');
  await addRef(call, tagRef(checkRefName(tag)), `tag ${tag}`, param('tag'));
  return emptyResponse(201);
}

async function addRef(
  { hub, name }: RepoCall,
  ref: string,
  what: string,
  from: unknown,
): Promise<void> {
  if (typeof from !== 'string') throw rejected('the starting point expected a revision');
  await hub.repos.change(name, async (repo) => {
    if (refOf(repo.refs, ref) !== null) {
      throw hubFailure(409, 'RepoExists', `Reference already exists: ${what}`);
    }
    const { id } = await commitOf(hub, repo, from);
    return { ...repo, refs: { ...repo.refs, [ref]: id } };
  });
}

async function dropBranch(call: RepoCall): Promise<HttpResponse> {
  const branch = call.param('branch');
  if (branchRef(branch) === MAIN) {
    throw hubFailure(403, 'NotSupported', 'the branch main cannot be deleted');
  }
  return dropRef(call, branchRef(branch), branch);
}

async function dropTag(call: RepoCall): Promise<HttpResponse> {
  return dropRef(call, tagRef(call.param('tag')), call.param('tag'));
}

async function dropRef({ hub, name }: RepoCall, ref: string, own: string): Promise<HttpResponse> {
  await hub.repos.change(name, (repo) => {
    if (refOf(repo.refs, ref) === null) throw revisionMissing(own);
    const { [ref]: _gone, ...left } = repo.refs;
    return { ...repo, refs: left };
  });
  return emptyResponse(204);
}

async function squashed({ hub, call, name, param, user }: RepoCall): Promise<HttpResponse> {
  const branch = param('rev');
  const { message } = await jsonObject(hub, call);
  const title = typeof message === 'string' ? message.slice(0, 1000) : `Super-squash ${branch}`;
  const commitOid = await squash(hub, name, branch, title, user);
  return jsonResponse({ commitOid });
}
