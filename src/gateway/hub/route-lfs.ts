import { MerkleHash } from '../../hash/index.js';
import { type Body, type HttpResponse, piecesOf } from '../../http/index.js';
import type { Call } from '../call.js';
import { failure, rejected } from '../failures.js';
import { emptyResponse, jsonResponse } from '../responses.js';
import type { Route } from '../router.js';
import { allows } from '../scopes.js';
import { mapLimited } from '../turns.js';
import type { Claim } from './claims.js';
import { EMPTY_SHA256, lfsEntry } from './commit-files.js';
import { createRepo } from './commits.js';
import { hubFailure, LFS_JSON } from './errors.js';
import { EMPTY_FILE, type Hub } from './hub.js';
import { SHA256_HEX } from './ids.js';
import { apiRoutes, jsonObject, type RepoCall, repoRoute } from './kit.js';
import { lfsDownload, lfsTransfer, lfsUpload } from './lfs-actions.js';
import { createLfsFiles } from './lfs-files.js';
import { LFS_OBJECTS_PATH, verifyLfsUrl } from './lfs-url.js';
import { HUB_TYPES, LFS_TYPES, type RepoName, repoName } from './names.js';
import type { Repo } from './repos.js';
import { lockRoutes } from './route-locks.js';
import { fileResponse } from './route-resolve.js';

/**
 * Git LFS: which files are there, sending and fetching them whole. A repository of type `git`, which is
 * one kept elsewhere with its `lfs.url` here, is made when something is first sent to it.
 */
export function lfsRoutes(hub: Hub): Route[] {
  const object = { path: LFS_OBJECTS_PATH, scope: null, form: 'lfs' } as const;
  const perRepo = LFS_TYPES.flatMap((type) => {
    const first = type === 'model' ? '' : type === 'git' ? '/git' : `/${type}s`;
    return [
      {
        ...({ method: 'POST', path: '/objects/batch', scope: 'ask', body: 'small' } as const),
        handle: batch,
      },
      {
        ...({ method: 'POST', path: '/objects/verify', scope: 'ask', body: 'small' } as const),
        handle: verify,
      },
      ...lockRoutes,
    ].map((route) => repoRoute(hub, type, `${first}/:namespace/:name/info/lfs`, route, 'lfs'));
  });
  const duplicates = apiRoutes(hub, [
    {
      ...({ method: 'POST', path: '/lfs-files/duplicate', scope: 'write', body: 'small' } as const),
      handle: duplicate,
    },
  ]);
  return [
    ...perRepo,
    ...duplicates,
    {
      ...object,
      method: 'PUT',
      body: 'stream',
      checkSigned: (call, secrets, unixMs) => void verifyLfsUrl(call, secrets, unixMs, 'upload'),
      handle: (call) => receive(hub, call),
    },
    {
      ...object,
      method: 'GET',
      checkSigned: (call, secrets, unixMs) => void verifyLfsUrl(call, secrets, unixMs, 'download'),
      handle: (call) => send(hub, call),
    },
  ];
}

const MAX_OBJECTS = 5000;
const AT_ONCE = 16;

interface Named {
  readonly oid?: unknown;
  readonly size?: unknown;
}

/** Which of the files that a client names it has to send, or where it fetches them. */
async function batch({ hub, call, name }: RepoCall): Promise<HttpResponse> {
  const { operation, transfers, objects, hash_algo: algorithm } = await jsonObject(hub, call);
  if (operation !== 'upload' && operation !== 'download') {
    throw rejected('"operation" expected upload or download');
  }
  if (algorithm !== undefined && algorithm !== 'sha256' && algorithm !== 'sha_256') {
    throw failure(409, 'CONFLICT', 'this server names files by their SHA-256');
  }
  const mayRead = call.principal === null || allows(call.principal.scope, 'read');
  if (operation === 'upload' ? !mayUpload(call) : !mayRead) {
    throw failure(403, 'FORBIDDEN', `the token does not allow to ${operation}`);
  }
  if (!Array.isArray(objects)) throw rejected('"objects" expected a list');
  if (objects.length > MAX_OBJECTS) {
    throw failure(413, 'LIMIT_EXCEEDED', `"objects" expected a list of at most ${MAX_OBJECTS}`);
  }
  const repo = await repoFor(hub, name, operation === 'upload');
  const transfer = lfsTransfer(operation, transfers);
  const asked = { hub, call, repo, transfer };
  const actionsOf = operation === 'upload' ? lfsUpload : lfsDownload;
  const named = (objects as readonly (Named | null)[]).map((object) => {
    const { oid, size } = object ?? {};
    const isSize = Number.isSafeInteger(size) && (size as number) >= 0;
    if (typeof oid !== 'string' || !SHA256_HEX.test(oid) || !isSize) {
      throw rejected('an object expected "oid" (a SHA-256) and "size"');
    }
    return { oid, sizeBytes: size as number };
  });
  const claims = await hub.claims.findAll(named.map(({ oid }) => oid));
  const answers = await mapLimited(named, AT_ONCE, async ({ oid, sizeBytes }) => {
    const claim = oid === EMPTY_SHA256 ? EMPTY_CLAIM : (claims.get(oid) ?? null);
    return { oid, size: sizeBytes, ...(await actionsOf({ ...asked, oid, sizeBytes }, claim)) };
  });
  const body = { transfer, objects: answers, hash_algo: 'sha256' };
  return jsonResponse(body, 200, { 'content-type': LFS_JSON });
}

const EMPTY_CLAIM: Claim = { file: EMPTY_FILE, sizeBytes: 0, proved: true };

async function claimOf(hub: Hub, oid: string): Promise<Claim | null> {
  if (oid === EMPTY_SHA256) return EMPTY_CLAIM;
  return hub.claims.find(oid);
}

async function repoFor(hub: Hub, name: RepoName, isUpload: boolean): Promise<Repo> {
  if (name.type !== 'git' || !isUpload) return hub.repos.get(name);
  const found = await hub.repos.find(name);
  if (found !== null) return found;
  const checked = repoName('git', name.namespace, name.name);
  try {
    await createRepo(hub, checked, { isPrivate: true, author: '' });
  } catch (error) {
    if ((await hub.repos.find(checked)) === null) throw error;
  }
  return hub.repos.get(checked);
}

/** A file has arrived. One of a git repository elsewhere is kept for it from now on, however it came. */
async function verify({ hub, call, name }: RepoCall): Promise<HttpResponse> {
  const { oid, size } = await jsonObject(hub, call);
  if (typeof oid === 'string' && SHA256_HEX.test(oid)) {
    const found = await claimOf(hub, oid);
    if (found !== null && found.sizeBytes === size) {
      if (mayUpload(call))
        await createLfsFiles(hub).keep(await hub.repos.get(name), oid, found.file);
      return jsonResponse({}, 200, { 'content-type': LFS_JSON });
    }
  }
  throw hubFailure(404, 'EntryNotFound', 'the object does not exist with this size');
}

/**
 * Clients ask for this before they commit files of another repository. All repositories keep their files in
 * one place, so it is only looked at whether they are there.
 */
async function duplicate({ hub, call, name }: RepoCall): Promise<HttpResponse> {
  const { target, files } = await jsonObject(hub, call);
  const { type, name: id } = (target ?? {}) as { readonly type?: unknown; readonly name?: unknown };
  const [namespace, own] = typeof id === 'string' ? id.split('/') : [];
  const known = HUB_TYPES.find((each) => each === type);
  if (known === undefined || namespace === undefined || own === undefined) {
    throw rejected(`"target" expected "type" (${HUB_TYPES.join(', ')}) and "name"`);
  }
  if (!Array.isArray(files)) throw rejected('"files" expected a list');
  if (files.length > MAX_OBJECTS) {
    throw failure(413, 'LIMIT_EXCEEDED', `"files" expected a list of at most ${MAX_OBJECTS}`);
  }
  for (const each of [name, { type: known, namespace, name: own }]) await hub.repos.get(each);
  const sha256s = files.map((file: { readonly sha256?: unknown } | null) => {
    if (typeof file?.sha256 === 'string' && SHA256_HEX.test(file.sha256)) return file.sha256;
    throw rejected('a file expected "sha256"');
  });
  const claims = await hub.claims.findAll(sha256s);
  const isThere = (sha256: string): boolean => sha256 === EMPTY_SHA256 || claims.has(sha256);
  const error = 'the file is not stored here any more: send it again';
  return jsonResponse({
    succeeded: sha256s.filter(isThere).map((sha256) => ({ sha256 })),
    failed: sha256s.filter((sha256) => !isThere(sha256)).map((sha256) => ({ sha256, error })),
  });
}

const mayUpload = ({ principal }: Call): boolean =>
  principal === null || allows(principal.scope, 'append');

/** A whole file arrives: it is cut into chunks and deduplicated on its way, and its SHA-256 is checked. */
async function receive(hub: Hub, call: Call): Promise<HttpResponse> {
  const { secrets, clock } = hub.services;
  const { oid, sizeBytes, repo: id } = verifyLfsUrl(call, secrets, clock.unixMs(), 'upload');
  const { body, signal } = call.request;
  const [stored] = sizeBytes === 0 ? [] : await hub.store([exactly(body, sizeBytes)], signal);
  const sha256 = stored?.sha256 ?? EMPTY_SHA256;
  if (sha256 !== oid) throw rejected(`the body expected the SHA-256 ${oid}, got ${sha256}`);
  const file = stored === undefined ? EMPTY_FILE : MerkleHash.parse(stored.fileHash);
  if (stored !== undefined) await hub.claims.prove(oid, file);
  const [type, namespace, name] = id.split('/') as [RepoName['type'], string, string];
  const repo = await hub.repos.find({ type, namespace, name });
  if (repo !== null) await createLfsFiles(hub).keep(repo, oid, file);
  return emptyResponse(200, { 'content-length': '0', etag: `"${oid}"` });
}

async function* exactly(
  body: Body | null,
  sizeBytes: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  let count = 0;
  for await (const piece of piecesOf(body)) {
    count += piece.length;
    if (count > sizeBytes) break;
    yield piece;
  }
  if (count !== sizeBytes) {
    const got = count > sizeBytes ? 'more' : String(count);
    throw rejected(`the body expected ${sizeBytes} bytes, got ${got}`);
  }
}

async function send(hub: Hub, call: Call): Promise<HttpResponse> {
  const { secrets, clock } = hub.services;
  const { oid } = verifyLfsUrl(call, secrets, clock.unixMs(), 'download');
  const file = await lfsEntry(hub, oid, undefined);
  return fileResponse(hub, call, file, {
    etag: `"${oid}"`,
    'accept-ranges': 'bytes',
    'content-type': 'application/octet-stream',
    'cache-control': 'private, immutable',
  });
}
