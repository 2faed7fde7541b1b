import type { CasClient, FetchedPart } from '../client/ports.js';
import { createCallSignals } from './call-signals.js';
import type { ConnectOptions } from './connect.js';
import { createDedupQuery } from './dedup-query.js';
import { createDirectConnect } from './direct-connect.js';
import { createFetchRanges } from './fetch-ranges.js';
import { createHostLimiter } from './host-limiter.js';
import type { HttpContext } from './http.js';
import { createLinkPace } from './link-pace.js';
import { createMasker } from './mask.js';
import { createNodeWire } from './node-wire.js';
import {
  type CasClientOptions,
  type CheckedCasClientOptions,
  checkCasClientOptions,
} from './options.js';
import { rangeReaderOf } from './range-reader.js';
import { createReceiveRange } from './receive-range.js';
import { createReconstructionQuery } from './reconstruction.js';
import { createShardUpload } from './shard-upload.js';
import { throwIfAborted } from './sleep.js';
import { createTokens } from './token.js';
import { createProxyWire, createUndiciWire } from './undici-wire.js';
import { createUrlPolicy, type UrlPolicy } from './url-policy.js';
import type { Wire } from './wire.js';
import { createXorbUpload } from './xorb-upload.js';

/**
 * The CAS protocol over HTTP. Remembers, for as long as it lives: which endpoint versions the
 * server has, which hosts take several ranges, who asked for fewer requests.
 *
 * @throws TypeError, RangeError for options that cannot work
 * @example
 * const cas = createCasClient({ endpoint: 'https://cas.example.com', token });
 * try { await cas.putXorb(hash, { sizeBytes, pieces }); } finally { await cas.close(); }
 */
export function createCasClient(options: CasClientOptions): CasClient {
  const checked = checkCasClientOptions(options);
  const calls = createCallSignals();
  const context = createContext(checked);
  const queryDedup = createDedupQuery(context, checked.dedupTimeoutMs);
  const putXorb = createXorbUpload(context);
  const putShard = createShardUpload(context);
  const getReconstruction = createReconstructionQuery(context);
  const fetchRanges = createFetchRanges(context);
  const direct = createReceiveRange(
    context,
    // Behind a proxy or a caller's dispatcher there are no connections of our own.
    checked.proxy === null && checked.dispatcher === null
      ? createDirectConnect(connectOptions(checked, context.policy))
      : null,
  );

  /** Runs a call under a signal that closing the client aborts too. */
  const linked = async <T>(
    signal: AbortSignal | undefined,
    call: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> => {
    const link = calls.link(signal);
    try {
      throwIfAborted(link.signal);
      return await call(link.signal);
    } finally {
      link.unlink();
    }
  };

  const client: CasClient = {
    async queryDedup(chunk, signal) {
      throwIfAborted(signal);
      // A closed client is one more failure that is a miss.
      if (calls.closed) return null;
      return linked(signal, (both) => queryDedup(chunk, both)).catch((error: unknown) => {
        if (signal?.aborted !== true && calls.closed) return null;
        throw error;
      });
    },
    putXorb: (xorb, body, putOptions = {}) =>
      linked(putOptions.signal, (signal) => putXorb(xorb, body, { ...putOptions, signal })),
    putShard: (shard, putOptions = {}) =>
      linked(putOptions.signal, (signal) => putShard(shard, { ...putOptions, signal })),
    getReconstruction: (file, range, signal) =>
      linked(signal, (both) => getReconstruction(file, range, both)),
    receiveRange: (url, range, receiver, signal) =>
      linked(signal, (both) => direct.receiveRange(url, range, receiver, both)),
    async *fetchRanges(
      url,
      ranges,
      signal,
      skipBytes,
    ): AsyncGenerator<FetchedPart, void, undefined> {
      const link = calls.link(signal);
      try {
        throwIfAborted(link.signal);
        yield* fetchRanges(url, ranges, link.signal, skipBytes);
      } finally {
        link.unlink();
      }
    },
    readRanges: (url, ranges, readOptions = {}) =>
      rangeReaderOf((signal) => client.fetchRanges(url, ranges, signal), readOptions),
    async close() {
      calls.close();
      direct.close();
      await context.wire.close();
    },
  };
  return client;
}

function createContext(options: CheckedCasClientOptions): HttpContext {
  const masker = createMasker([...Object.values(options.headers), options.proxy?.password ?? '']);
  const policy = createUrlPolicy({
    endpoint: options.endpoint,
    allowHosts: options.allowHosts,
    lookup: options.lookup,
  });
  return {
    endpoint: options.endpoint,
    policy,
    masker,
    clock: options.clock,
    random: options.random,
    tokens: createTokens(options.token, masker),
    limiter: createHostLimiter(options.clock),
    retry: options.retry,
    reachedHosts: new Set(),
    onRetry: options.onRetry,
    wire: createWire(options, policy),
    pace: createLinkPace(),
    commonHeaders: { 'user-agent': options.userAgent },
    casHeaders: {
      ...options.headers,
      ...(options.sessionId === '' ? {} : { 'x-xet-session-id': options.sessionId }),
    },
    stallTimeoutMs: options.stallTimeoutMs,
    answerTimeoutMs: options.answerTimeoutMs,
  };
}

function createWire(options: CheckedCasClientOptions, policy: UrlPolicy): Wire {
  const { dispatcher, proxy } = options;
  if (dispatcher !== null) return createUndiciWire(dispatcher, async () => {});
  if (proxy !== null) return createProxyWire(proxy, options);
  return createNodeWire(connectOptions(options, policy));
}

function connectOptions(options: CheckedCasClientOptions, policy: UrlPolicy): ConnectOptions {
  return {
    connectTimeoutMs: options.connectTimeoutMs,
    attemptTimeoutMs: options.addressTimeoutMs,
    ca: options.ca,
    lookup: options.lookup,
    policy,
    clock: options.clock,
  };
}
