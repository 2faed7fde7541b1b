import type { BatchReconstruction } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import type { Scope } from '../flow/index.js';
import type { MerkleHash } from '../hash/index.js';
import { bytesBody, drain } from '../http/index.js';
import { parseReconstruction } from '../plan/index.js';
import {
  type Context,
  casCall,
  type Received,
  readJson,
  sendToCas,
  statusFailure,
} from './context.js';
import { AttemptFailure } from './failures.js';
import type { ReconstructionQuery } from './reconstruction.js';
import { withRetries } from './retry.js';

/** A thousand files of a megabyte each, with their URLs, take about a megabyte. */
const MAX_RESPONSE_BYTES = 64 * 1024 * 1024;

/** Ids in one URL: 73 bytes each, and servers cut request lines at 8 KiB. */
const IDS_PER_URL = 100;

/** The two forms of the batch request, in the order in which they are tried. */
const DIALECTS = ['post', 'get'] as const;
type Dialect = (typeof DIALECTS)[number];

export type BatchReconstructionQuery = (
  files: readonly MerkleHash[],
  scope: Scope,
) => Promise<BatchReconstruction | null>;

/** What one request brought: fields of the response, not looked into. */
interface BatchJson {
  readonly files: Readonly<Record<string, unknown>>;
  readonly fetch_info: Readonly<Record<string, unknown>>;
}

/**
 * Reconstructions of several files in one request, in either form: `POST /v1/reconstructions` with a list,
 * as the published description has it, or `GET /v1/reconstructions?file_id=…&file_id=…`, as the reference
 * client and server have it. A 404 may mean that the form or that a file is missing; the form that has
 * worked once is known from then on, and what is not known is found out with one file that is there.
 *
 * @param single asks for one file
 */
export function createBatchReconstructionQuery(
  context: Context,
  single: ReconstructionQuery,
): BatchReconstructionQuery {
  let known: Dialect | 'none' | null = null;

  const ask = async (
    dialect: Dialect,
    files: readonly MerkleHash[],
    scope: Scope,
  ): Promise<BatchJson | null> => {
    if (dialect === 'post') return post(context, files, scope);
    const parts: BatchJson[] = [];
    for (let at = 0; at < files.length; at += IDS_PER_URL) {
      const part = await get(context, files.slice(at, at + IDS_PER_URL), scope);
      if (part === null) return null;
      parts.push(part);
    }
    return merged(parts);
  };
  const askKnown = async (
    files: readonly MerkleHash[],
    scope: Scope,
  ): Promise<BatchJson | null> => {
    for (const dialect of known === null ? DIALECTS : [known as Dialect]) {
      const json = await ask(dialect, files, scope);
      if (json === null) continue;
      known = dialect;
      return json;
    }
    return null;
  };

  return async (files, scope) => {
    if (known === 'none') return null;
    const json = await askKnown(files, scope);
    if (json !== null) return parseBatch(json, files);
    if (known === null) {
      const [first] = files as readonly [MerkleHash];
      // Rejects with NOT_FOUND where that file is missing, which leaves the question open.
      await single(first, undefined, scope);
      if ((await askKnown([first], scope)) === null) {
        known = 'none';
        return null;
      }
    }
    throw new OrbweaverError(
      'NOT_FOUND',
      `one of ${files.length} files expected to be in the store, was not`,
      { fileCount: files.length },
    );
  };
}

async function post(
  context: Context,
  files: readonly MerkleHash[],
  scope: Scope,
): Promise<BatchJson | null> {
  const label = 'v1/reconstructions';
  const call = casCall(context, { method: 'POST', path: label, label, scope });
  const list = files.map((hash) => ({ prefix: 'default', hash: hash.toString() }));
  const bytes = new TextEncoder().encode(JSON.stringify(list));
  return withRetries(context, call, async () => {
    const headers = { 'content-type': 'application/json' };
    return read(context, await sendToCas(context, call, { headers, body: bytesBody(bytes) }));
  });
}

async function get(
  context: Context,
  files: readonly MerkleHash[],
  scope: Scope,
): Promise<BatchJson | null> {
  const label = 'v1/reconstructions';
  const path = `${label}?${files.map((hash) => `file_id=${hash}`).join('&')}`;
  const call = casCall(context, { method: 'GET', path, label, scope });
  return withRetries(context, call, async () => read(context, await sendToCas(context, call)));
}

/** Null: no such form, or no such file. */
async function read(context: Context, received: Received): Promise<BatchJson | null> {
  const { status, body } = received.response;
  if (status === 404 || status === 405 || status === 501) {
    await drain(body);
    return null;
  }
  if (status !== 200) throw await statusFailure(context, received);
  return readJson(context, received, MAX_RESPONSE_BYTES, (json) => {
    const { files, fetch_info } = Object(json) as Partial<BatchJson>;
    if (isRecord(files) && isRecord(fetch_info)) return { files, fetch_info };
    const text = 'the response to a batch expected "files" and "fetch_info", got something else';
    throw new AttemptFailure(new OrbweaverError('PROTOCOL', text), { retry: false, status });
  });
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function merged(parts: readonly BatchJson[]): BatchJson {
  if (parts.length === 1) return parts[0] as BatchJson;
  const fetches = new Map<string, unknown[]>();
  for (const { fetch_info } of parts) {
    for (const [xorb, entries] of Object.entries(fetch_info)) {
      const list = Array.isArray(entries) ? entries : [entries];
      fetches.set(xorb, [...(fetches.get(xorb) ?? []), ...list]);
    }
  }
  return {
    files: Object.assign({}, ...parts.map(({ files }) => files)),
    fetch_info: Object.fromEntries(fetches),
  };
}

/** One reconstruction whose terms are those of the files, one after another, in the order asked. */
function parseBatch(
  { files, fetch_info }: BatchJson,
  asked: readonly MerkleHash[],
): BatchReconstruction {
  const terms: unknown[] = [];
  const termCounts = asked.map((hash, index) => {
    const list = Object.hasOwn(files, hash.toString()) ? files[hash.toString()] : undefined;
    if (!Array.isArray(list)) {
      const message = `"files" of the batch expected ${hash}, got none`;
      // The reference server leaves out what it does not have.
      throw new OrbweaverError('NOT_FOUND', message, { hash: hash.toString(), index });
    }
    for (const term of list) terms.push(term);
    return list.length;
  });
  return {
    reconstruction: parseReconstruction({ offset_into_first_range: 0, terms, fetch_info }),
    termCounts,
  };
}
