import { OrbweaverError } from '../errors.js';
import type { Clock } from '../flow/index.js';
import type { RandomSource } from '../platform/index.js';
import { pauseFor } from '../transport/web.js';
import { apiPath, type RepoId } from './address.js';
import type { HubHttp } from './http.js';
import { objectOf, objectsOf, textOf } from './json.js';
import { listTree } from './listing.js';

/** One line of a commit. */
export type CommitOperation =
  /** A file whose data is in the content-addressed store. */
  | {
      readonly operation: 'stored';
      readonly path: string;
      /** 64 hexadecimal digits. */
      readonly sha256: string | null;
      /** Null: not known, which only a bucket wants. */
      readonly fileHash: string | null;
      readonly sizeBytes: number;
      /** Milliseconds since 1970; for buckets. */
      readonly mtimeMs?: number | undefined;
    }
  /** A small file that the Hub keeps itself. */
  | { readonly operation: 'inline'; readonly path: string; readonly bytes: Uint8Array }
  | { readonly operation: 'delete'; readonly path: string; readonly isFolder?: boolean | undefined }
  /** A file of the store under another path, without its bytes; buckets only. */
  | {
      readonly operation: 'copy';
      readonly path: string;
      /** 64 hexadecimal digits. */
      readonly fileHash: string;
      /** Where it is now. */
      readonly from: RepoId;
    };

/** What a commit is made with. */
export interface CommitOptions {
  readonly revision: string;
  readonly title: string;
  /** @default none */
  readonly description?: string | undefined;
  /** The commit that the caller has looked at: another head is a `CONFLICT`. @default any head */
  readonly parentCommit?: string | undefined;
  /** Propose it instead. @default false */
  readonly createPr?: boolean | undefined;
  readonly signal: AbortSignal;
}

/** A commit that was made. */
export interface HubCommit {
  /** Its name; null for buckets, which have none. */
  readonly oid: string | null;
  readonly url: string | null;
  readonly pullRequestUrl: string | null;
}

/** The branch of a pull request by its address; null: it is none. */
export function pullRequestBranch(url: string): string | null {
  const num = /\/discussions\/(\d+)(?:[/?#]|$)/.exec(url)?.[1];
  return num === undefined ? null : `refs/pr/${num}`;
}

/** How often a commit is sent again when somebody else was faster. */
const MAX_CONFLICTS = 8;
const CONFLICT_DELAY_MS = 250;

/**
 * Commits. When the head of the branch moves meanwhile and no parent was asked for, the same commit is
 * made on the new one.
 * @throws OrbweaverError `CONFLICT` when the parent that was asked for is not the head any more
 */
export async function commit(
  http: HubHttp,
  repo: RepoId,
  operations: readonly CommitOperation[],
  options: CommitOptions & { readonly clock: Clock; readonly random: RandomSource },
): Promise<HubCommit> {
  if (repo.type === 'bucket') return bucketBatch(http, repo, operations, options);
  const { revision, title, description, parentCommit, createPr = false, signal } = options;
  const what = `committing to ${repo.name}`;
  const header = {
    summary: title,
    description: description ?? '',
    ...(parentCommit === undefined ? {} : { parentCommit }),
  };
  const bytes = lines([{ key: 'header', value: header }, ...operations.map(gitLine)]);
  const path = `api/${apiPath(repo)}/commit/${encodeURIComponent(revision)}${createPr ? '?create_pr=1' : ''}`;
  for (let conflicts = 0; ; conflicts++) {
    const mayRepeat = parentCommit === undefined && conflicts < MAX_CONFLICTS;
    const response = await http.request({
      what,
      method: 'POST',
      path,
      bytes,
      headers: { 'content-type': 'application/x-ndjson' },
      expected: mayRepeat ? [412] : [],
      signal,
    });
    if (response.status === 412) {
      const mostMs = CONFLICT_DELAY_MS * 2 ** Math.min(conflicts, 4);
      await pauseFor(mostMs * (0.5 + options.random() / 2), options.clock, signal);
      continue;
    }
    const object = objectOf(response.json);
    return {
      oid: textOf(object, 'commitOid', what),
      url: textOf(object, 'commitUrl', what),
      pullRequestUrl:
        typeof object?.['pullRequestUrl'] === 'string' ? object['pullRequestUrl'] : null,
    };
  }
}

/** Files that a bucket takes in one request, as the Python client sends them. */
const BUCKET_FILES = 1000;

async function bucketBatch(
  http: HubHttp,
  repo: RepoId,
  given: readonly CommitOperation[],
  { signal }: CommitOptions,
): Promise<HubCommit> {
  const what = `changing bucket ${repo.name}`;
  const operations = await withFilesOfFolders(http, repo, given, signal);
  for (let start = 0; start < operations.length; start += BUCKET_FILES) {
    const { json, status } = await http.request({
      what,
      method: 'POST',
      path: `api/${apiPath(repo)}/batch`,
      bytes: lines(operations.slice(start, start + BUCKET_FILES).map(bucketLine)),
      headers: { 'content-type': 'application/x-ndjson' },
      // All of it may be done twice: a file is added under the hash of its content.
      repeatable: true,
      expected: [422],
      signal,
    });
    const object = objectOf(json);
    const failed = object?.['failed'] === undefined ? [] : objectsOf(object['failed'], what);
    const [first] = failed;
    if (status === 422 || first !== undefined) {
      const text =
        first === undefined ? 'it refused the batch' : `"${first['path']}": ${first['error']}`;
      throw new OrbweaverError('REJECTED', http.mask(`${what}: ${text}`), { status });
    }
  }
  return { oid: null, url: null, pullRequestUrl: null };
}

/** A bucket knows files only, so the deletion of a folder is that of each of them. */
async function withFilesOfFolders(
  http: HubHttp,
  repo: RepoId,
  operations: readonly CommitOperation[],
  signal: AbortSignal,
): Promise<readonly CommitOperation[]> {
  const all: CommitOperation[] = [];
  for (const operation of operations) {
    if (operation.operation !== 'delete' || operation.isFolder !== true) {
      all.push(operation);
      continue;
    }
    const { path } = operation;
    const before = all.length;
    for await (const entry of listTree(http, repo, {
      revision: '',
      path,
      recursive: true,
      signal,
    })) {
      if (entry.type === 'file') all.push({ operation: 'delete', path: entry.path });
    }
    if (all.length > before) continue;
    throw new OrbweaverError('NOT_FOUND', `${repo.name} has no folder "${path}"`, { path });
  }
  return all;
}

function gitLine(operation: CommitOperation): object {
  const { path } = operation;
  if (operation.operation === 'stored') {
    const { sha256, sizeBytes } = operation;
    if (sha256 === null) throw new TypeError(`"${path}" expected a SHA-256 for a commit`);
    return { key: 'lfsFile', value: { path, algo: 'sha256', oid: sha256, size: sizeBytes } };
  }
  if (operation.operation === 'inline') {
    const content = base64Of(operation.bytes);
    return { key: 'file', value: { path, content, encoding: 'base64' } };
  }
  if (operation.operation === 'copy') {
    throw new OrbweaverError('USAGE', `"${path}" expected a bucket to copy into`, { path });
  }
  return { key: operation.isFolder === true ? 'deletedFolder' : 'deletedFile', value: { path } };
}

function bucketLine(operation: CommitOperation): object {
  const { path } = operation;
  if (operation.operation === 'stored') {
    const { fileHash: xetHash, mtimeMs } = operation;
    if (xetHash === null) throw new TypeError(`"${path}" expected a file hash for a bucket`);
    const mtime = mtimeMs === undefined ? {} : { mtime: Math.round(mtimeMs) };
    return { type: 'addFile', path, xetHash, ...mtime };
  }
  if (operation.operation === 'delete') return { type: 'deleteFile', path };
  if (operation.operation === 'copy') {
    const { fileHash: xetHash, from } = operation;
    return { type: 'copyFile', path, xetHash, sourceRepoType: from.type, sourceRepoId: from.name };
  }
  throw new OrbweaverError('USAGE', `a bucket takes no "${operation.operation}" of "${path}"`);
}

function lines(values: readonly object[]): Uint8Array {
  return new TextEncoder().encode(values.map((value) => JSON.stringify(value)).join('\n'));
}

/** Bytes turned to base64 at a time: more arguments would not fit on the stack. */
const BASE64_STEP = 0x8000 - (0x8000 % 3);

/** Base64 without Node. */
export function base64Of(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += BASE64_STEP) {
    text += btoa(String.fromCharCode(...bytes.subarray(at, at + BASE64_STEP)));
  }
  return text;
}
