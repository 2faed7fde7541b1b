import type { CasClient } from '../client/ports.js';
import type { Scope } from '../flow/index.js';
import { createBatchReconstructionQuery } from './batch-reconstruction.js';
import type { Send } from './call.js';
import { type CallScopes, createCallScopes } from './call-scopes.js';
import { createChunkHashesQuery } from './chunk-hashes-query.js';
import type { Context } from './context.js';
import { createDedupQueries } from './dedup-query.js';
import { fileSize } from './file-query.js';
import { createHostLimiter, limit } from './host-limiter.js';
import { createMasker, type Masker } from './mask.js';
import type { NameLookup } from './ports.js';
import { createReadRanges } from './read-ranges.js';
import { createReconstructionQuery } from './reconstruction.js';
import type { StoreSettings } from './settings.js';
import { createShardUpload } from './shard-upload.js';
import { createTokens, withToken } from './token.js';
import { createTokenUrl, isTokenUrl, secretsOfTokenUrl } from './token-url.js';
import { createUrlPolicy, type UrlPolicy, withUrlPolicy } from './url-policy.js';
import { watchdog } from './watchdog.js';
import type { Wire } from './wires/connect.js';
import { createWriteSizes } from './write-sizes.js';
import { hasXorb } from './xorb-query.js';
import { createXorbUpload } from './xorb-upload.js';

/** What a client needs of the machine that it runs on. */
export interface StoreOutside {
  readonly lookup: NameLookup;
  /** Texts that never appear in messages, beside those of the settings. */
  readonly secrets: readonly string[];
  /** How requests leave; it may judge addresses by the policy. */
  readonly wireOf: (policy: UrlPolicy) => Wire;
}

/**
 * The CAS protocol over HTTP. Remembers, for as long as it lives: which endpoint versions the
 * server has, which hosts take several ranges, who asked for fewer requests.
 */
export function storeClient(checked: StoreSettings, outside: StoreOutside): CasClient {
  const scopes = createCallScopes(checked.clock);
  const { context, wire } = createContext(checked, outside, scopes);
  const queries = createDedupQueries(context, checked.dedupTimeoutMs);
  const { grants, crc64 } = checked;
  const putXorb = createXorbUpload(context, { policy: grants, crc64 });
  const putShard = createShardUpload(context);
  const getReconstruction = createReconstructionQuery(context);
  const getChunkHashes = createChunkHashesQuery(context);
  const getReconstructions = createBatchReconstructionQuery(context, getReconstruction);
  const readRanges = createReadRanges(context);

  /** A closed client is one more failure that is a miss. */
  async function missWhenClosed(
    signal: AbortSignal | undefined,
    run: (scope: Scope) => Promise<Uint8Array | null>,
  ): Promise<Uint8Array | null> {
    try {
      return await within(scopes, signal, run);
    } catch (error) {
      if (signal?.aborted !== true && scopes.closed) return null;
      throw error;
    }
  }

  return {
    queryDedup: (chunk, signal, admit) =>
      missWhenClosed(signal, (scope) => queries.one(chunk, scope, admit)),
    denseDedup: () => context.dense,
    queryDedupMany: (question, signal, admit) =>
      missWhenClosed(signal, (scope) => queries.many(question, scope, admit)),
    putXorb: (xorb, body, { signal, onSent, turn } = {}) =>
      within(scopes, signal, (scope) => putXorb(xorb, body, { scope, onSent, turn })),
    hasXorb: (xorb, signal) => within(scopes, signal, (scope) => hasXorb(context, xorb, scope)),
    putShard: (shard, { signal, onProgress } = {}) =>
      within(scopes, signal, (scope) => putShard(shard, { scope, onProgress })),
    getReconstruction: (file, range, signal) =>
      within(scopes, signal, (scope) => getReconstruction(file, range, scope)),
    getChunkHashes: (file, dirty, signal) =>
      within(scopes, signal, (scope) => getChunkHashes(file, dirty, scope)),
    getReconstructions: (files, signal) =>
      within(scopes, signal, (scope) => getReconstructions(files, scope)),
    getFileSize: (file, signal) =>
      within(scopes, signal, (scope) => fileSize(context, file, scope)),
    readRanges: (url, ranges, { signal, onRequest, onRefused } = {}) =>
      readRanges(url, ranges, { onRequest, onRefused, openScope: () => scopes.open(signal) }),
    async close() {
      scopes.close();
      await wire.close();
    },
  };
}

/** Runs a call in a scope that closing the client ends too. */
async function within<T>(
  scopes: CallScopes,
  signal: AbortSignal | undefined,
  run: (scope: Scope) => Promise<T>,
): Promise<T> {
  const scope = scopes.open(signal);
  try {
    scope.check();
    return await run(scope);
  } finally {
    scope.close();
  }
}

/** What all calls of a client share, and the connections that they go over. */
export function createContext(
  options: StoreSettings,
  { lookup, secrets, wireOf }: StoreOutside,
  scopes: CallScopes,
): { context: Context; wire: Wire } {
  const { clock, random, retry, stallTimeoutMs, token } = options;
  const masker = createMasker([...Object.values(options.headers), ...secrets]);
  const tokenHosts: string[] = [];
  if (isTokenUrl(token)) {
    for (const secret of secretsOfTokenUrl(token)) masker.add(secret);
    // The caller named it: it may be anywhere.
    tokenHosts.push(new URL(token.refreshUrl).hostname);
  }
  const policy = createUrlPolicy({
    endpoint: options.endpoint,
    allowHosts: [...options.allowHosts, ...tokenHosts],
    lookup,
  });
  const wire = wireOf(policy);
  const reachedHosts = new Set<string>();
  const limited = createLimitedSend(options, { masker, wire, reachedHosts });
  const plain: Context = {
    endpoint: options.endpoint,
    masker,
    clock,
    random,
    retry,
    reachedHosts,
    onRetry: options.onRetry,
    budget: options.budget,
    send: limited,
    commonHeaders: options.userAgent === '' ? {} : { 'user-agent': options.userAgent },
    stallTimeoutMs,
    responseTimeoutMs: options.responseTimeoutMs,
    dense: null,
  };
  const source = isTokenUrl(token)
    ? createTokenUrl({ context: plain, scopes, source: token })
    : token;
  const casHeaders = {
    ...options.headers,
    ...(options.sessionId === '' ? {} : { 'x-xet-session-id': options.sessionId }),
  };
  const tokens = createTokens(source, masker);
  const send = withToken({ tokens, masker, casHeaders })(withUrlPolicy(policy)(limited));
  return { context: { ...plain, send }, wire };
}

/** The inner layers; `call.ts` has the picture. */
function createLimitedSend(
  { clock, stallTimeoutMs, retry, rates }: StoreSettings,
  parts: {
    readonly masker: Masker;
    readonly wire: Wire;
    readonly reachedHosts: Set<string>;
  },
): Send {
  const { masker, wire, reachedHosts } = parts;
  const limiter = createHostLimiter(clock, retry.maxRetryAfterMs);
  const writeSizes = createWriteSizes();
  const watched = watchdog({ clock, masker, writeSizes, rates, stallTimeoutMs })(wire.exchange);
  return limit(limiter, reachedHosts, clock)(watched);
}
