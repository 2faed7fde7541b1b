import {
  type Body,
  bytesBody,
  type HttpHeaders,
  type HttpResponse,
  piecesBody,
} from '../../http/index.js';
import type { Call } from '../call.js';
import { effectiveRange, isNotModified } from '../conditional.js';
import { contentRange } from '../multipart-body.js';
import { parseRange } from '../ranges.js';
import { emptyResponse, jsonResponse } from '../responses.js';
import type { Route } from '../router.js';
import { branchRef, commitOf, refOf } from './commits.js';
import type { FileEntry } from './formats.js';
import type { Hub } from './hub.js';
import { lfsPointer } from './ids.js';
import { apiRoutes, entryMissing, type RepoCall, type RepoRoute, repoRoute } from './kit.js';
import { HUB_TYPES, pathParts } from './names.js';
import { entryAt } from './tree-walk.js';
import { lowerCased, xetHeaders, xetToken } from './xet-token.js';

/** Files by their path, and the tokens with which clients fetch and send them as chunks. */
export function resolveRoutes(hub: Hub): Route[] {
  const files = HUB_TYPES.flatMap((type) => {
    const base = `${type === 'model' ? '' : `/${type}s`}/:namespace/:name`;
    return (['resolve', 'raw'] as const).flatMap((word) =>
      (['GET', 'HEAD'] as const).map((method) =>
        repoRoute(hub, type, base, {
          ...{ method, path: `/${word}/:rev/*path`, scope: 'read' },
          handle: (call) => resolve(call, word === 'raw'),
        }),
      ),
    );
  });
  const tokens: readonly RepoRoute[] = [
    {
      ...{ method: 'GET', path: '/xet-read-token/:rev', scope: 'read' },
      handle: (call) => token(call, false),
    },
    {
      ...{ method: 'GET', path: '/xet-write-token/:rev', scope: 'append' },
      handle: (call) => token(call, true),
    },
  ];
  const ofGit = tokens.map((route) => repoRoute(hub, 'git', '/git/:namespace/:name', route));
  return [...apiRoutes(hub, tokens), ...ofGit, ...files];
}

/** A token for the store that a repository keeps its files in. */
export async function token(
  { hub, call, name, param }: RepoCall,
  isWrite: boolean,
): Promise<HttpResponse> {
  const repo = await hub.repos.get(name);
  const revision = param('rev');
  const hasCommits = repo.type !== 'git' && repo.type !== 'bucket';
  // A client that makes a new branch with its commit does not know one yet, and says None.
  const isOpen = isWrite && revision === 'None';
  if (hasCommits && !isOpen) await commitOf(hub, repo, revision);
  const xet = await xetToken(hub, call, isWrite ? 'upload' : 'read');
  return jsonResponse(xet, 200, { 'cache-control': 'no-store', ...lowerCased(xetHeaders(xet)) });
}

const XET_INFO = 'application/vnd.xet-fileinfo+json';

/** @param isRaw of a file of Git LFS what git has of it: the pointer */
async function resolve(call: RepoCall, isRaw: boolean): Promise<HttpResponse> {
  const { hub, name, param } = call;
  const repo = await hub.repos.get(name);
  const { id, commit } = await commitOf(hub, repo, param('rev'));
  const path = pathParts(param('path'));
  const file = await entryAt(hub.objects, commit.tree, path);
  if (file === null || file.kind === 'folder') throw entryMissing(path.join('/'), id);
  const pointer = isRaw && file.lfs ? lfsPointer(file.sha256, file.sizeBytes) : null;
  const shown = pointer === null ? file : { ...file, lfs: false, sizeBytes: pointer.length };
  const isBranch = refOf(repo.refs, branchRef(param('rev'))) !== null;
  const headers = {
    ...fileHeaders(shown, path.at(-1) as string),
    'x-repo-commit': id,
    'cache-control': isBranch ? 'private, no-cache' : 'private, max-age=3600',
    ...(shown.lfs
      ? xetLinks(call.call, `${call.call.baseUrl}/api/${name.type}s`, id, call, file)
      : {}),
  };
  const info = xetFileInfo(call.call, shown, headers);
  return info ?? fileResponse(hub, call.call, shown, headers, pointer);
}

/** Where the chunks of a file are, for clients that ask for that instead of the file; null: they do not. */
export function xetFileInfo(
  { request }: Call,
  file: FileEntry,
  headers: HttpHeaders,
): HttpResponse | null {
  const isAsked =
    request.method === 'GET' && request.headers['accept']?.includes(XET_INFO) === true;
  if (!file.lfs || !isAsked) return null;
  const info = { hash: file.file.toString(), size: file.sizeBytes };
  return jsonResponse(info, 200, { ...headers, 'content-type': XET_INFO });
}

function xetLinks(
  { baseUrl }: Call,
  api: string,
  commit: string,
  { name }: RepoCall,
  file: FileEntry,
): HttpHeaders {
  const auth = `${api}/${name.namespace}/${name.name}/xet-read-token/${commit}`;
  const terms = `${baseUrl}/v1/reconstructions/${file.file}`;
  return {
    'x-linked-etag': `"${file.sha256}"`,
    'x-linked-size': String(file.sizeBytes),
    'x-xet-hash': file.file.toString(),
    link: `<${auth}>; rel="xet-auth", <${terms}>; rel="xet-reconstruction-info"`,
  };
}

/** What a browser needs to know of a file. */
export function fileHeaders(file: FileEntry, name: string): HttpHeaders {
  const plain = name.replace(/[^\x20-\x7e]|["\\]/g, '_');
  return {
    etag: `"${file.lfs ? file.sha256 : file.blobId}"`,
    'accept-ranges': 'bytes',
    'content-type': file.lfs ? 'application/octet-stream' : 'text/plain; charset=utf-8',
    'content-disposition': `inline; filename*=UTF-8''${encodeURIComponent(name)}; filename="${plain}";`,
    // What people upload is shown by browsers as text, and as nothing else of this server.
    'x-content-type-options': 'nosniff',
    'content-security-policy': "default-src 'none'; sandbox",
  };
}

/** The file or the range that is asked for, as it is pulled; conditions are looked at first. */
export async function fileResponse(
  hub: Hub,
  call: Call,
  file: FileEntry,
  headers: HttpHeaders,
  /** Its bytes, where they are not those that are stored. */
  bytes: Uint8Array | null = null,
): Promise<HttpResponse> {
  const { request } = call;
  const etag = headers['etag'] as string;
  if (isNotModified(request.headers['if-none-match'], etag)) return emptyResponse(304, headers);
  const { sizeBytes } = file;
  const isHead = request.method === 'HEAD';
  const header = isHead
    ? undefined
    : effectiveRange(request.headers['range'], request.headers['if-range'], etag);
  const asked = parseRange(header, sizeBytes);
  if (asked.kind === 'unsatisfiable') {
    const range = { ...headers, 'content-range': `bytes */${sizeBytes}` };
    // Clients ask for the first byte to learn the size, and would take a refusal for that of the file.
    return sizeBytes === 0
      ? emptyResponse(200, { ...range, 'content-length': '0' })
      : emptyResponse(416, range);
  }
  // Several ranges, or something that is none, is the whole file: HTTP allows that.
  const span = asked.kind === 'ranges' && asked.ranges.length === 1 ? asked.ranges[0] : undefined;
  const { start, end } = span ?? { start: 0, end: sizeBytes };
  const length = end - start;
  const body = async (): Promise<Body> =>
    bytes === null
      ? piecesBody(reported(hub, call, await hub.bytes(file.file, { start, end })), length)
      : bytesBody(bytes.subarray(start, end));
  return {
    status: span === undefined ? 200 : 206,
    headers: {
      ...headers,
      'content-length': String(length),
      ...(span === undefined ? {} : { 'content-range': contentRange(span, sizeBytes) }),
    },
    body: isHead ? null : await body(),
  };
}

/** Tells of what breaks a body whose status went out before. */
async function* reported(
  { services }: Hub,
  call: Call,
  pieces: AsyncGenerator<Uint8Array, void, undefined>,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield* pieces;
  } catch (error) {
    services.fault(call, error);
    throw error;
  }
}
