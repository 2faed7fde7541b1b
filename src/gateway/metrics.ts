import { isOrbweaverError } from '../errors.js';
import type { Clock } from '../flow/index.js';
import { countedBody, type Step, withBody } from './middleware.js';
import type { ObjectReader, ObjectStore } from './ports.js';
import type { RouteMatch } from './router.js';

/**
 * What a gateway tells whoever counts: a small port, two places that report to it (around every request,
 * around every operation of the store), and nothing of any library. `node-prometheus.ts` implements it;
 * another system of metrics, OpenTelemetry for example, is another implementation.
 *
 * Everything that may become a label is from a short list: a route is its pattern and never a path, and
 * neither principals nor tenants are in it.
 */

/** A request that is over: its response was sent, or nobody takes it. */
export interface RequestMetrics {
  /** Pattern of the route, `/v1/xorbs/:prefix/:xorb`; `other` for paths and methods that are not offered. */
  readonly route: string;
  /** Upper case; `OTHER` for one that nothing here has. */
  readonly method: string;
  readonly status: number;
  /** From the head of the request to the end of the response. */
  readonly durationMs: number;
  /** Bytes of the body of the request that were read. */
  readonly receivedBytes: number;
  /** Bytes of the body of the response that were taken. */
  readonly sentBytes: number;
}

/** What is done with a store. */
export type StoreOperation =
  | 'head'
  | 'read'
  | 'open'
  | 'put'
  | 'list'
  | 'delete'
  | 'sign'
  | 'check';

/** An operation of the store that is over. `read` is also one read of an open object. */
export interface StoreMetrics {
  readonly operation: StoreOperation;
  readonly durationMs: number;
  /** Null: it did what it should. Else the code of the error, `OTHER` for one without. */
  readonly failed: string | null;
  /** What was stored when this was a `put` that stored something. */
  readonly stored?: 'xorb' | 'shard' | 'other' | undefined;
}

/** A question whether chunks are stored. */
export interface DedupMetrics {
  readonly chunkCount: number;
  readonly found: boolean;
}

/** What can be looked at when somebody asks. */
export interface MetricSources {
  readonly memory?: (() => GatewayMemoryUse) | undefined;
  readonly connections?: (() => Promise<number>) | undefined;
}

/** See `GatewayUsage`. */
export interface GatewayMemoryUse {
  readonly usedBytes: number;
  readonly peakBytes: number;
  readonly maxBytes: number;
}

/** Metrics as text, for whoever collects them. */
export interface MetricsText {
  readonly contentType: string;
  readonly text: string;
}

/** Who counts. None of its functions may throw; all are called on the thread that serves. */
export interface GatewayMetrics {
  requestBegan(): void;
  requestEnded(request: RequestMetrics): void;
  storeOperation(operation: StoreMetrics): void;
  dedupAsked(question: DedupMetrics): void;
  /** Called with what exists only while it is looked at; more than once, each time with other sources. */
  watch?(sources: MetricSources): void;
  /** With it the gateway offers `GET /metrics` to admins. */
  read?(): Promise<MetricsText>;
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']);

/** Tells of every request, the bodies of both directions counted. */
export function metered(metrics: GatewayMetrics | undefined, clock: Clock): Step {
  if (metrics === undefined) return (next) => next;
  return (next) => async (call) => {
    const sinceMs = clock.now();
    let receivedBytes = 0;
    metrics.requestBegan();
    const { request, match } = call;
    const body =
      request.body &&
      countedBody(request.body, {
        onBytes: (bytes) => {
          receivedBytes += bytes;
        },
      });
    const response = await next({ ...call, request: withBody(request, body) });
    const { status } = response;
    const end = (sentBytes: number): void => {
      const durationMs = clock.now() - sinceMs;
      const labels = labelsOf(match, request.method);
      metrics.requestEnded({ ...labels, status, durationMs, receivedBytes, sentBytes });
    };
    if (response.body !== null) {
      return { ...response, body: countedBody(response.body, { onEnd: end }) };
    }
    end(0);
    return response;
  };
}

function labelsOf(match: RouteMatch, method: string): { route: string; method: string } {
  if (match.kind === 'route') return { route: match.route.path, method: match.route.method };
  return { route: 'other', method: METHODS.has(method) ? method : 'OTHER' };
}

/** `store`, with each of its operations told. */
export function meteredStore(
  store: ObjectStore,
  metrics: GatewayMetrics | undefined,
  clock: Clock,
): ObjectStore {
  return metrics === undefined ? store : toldStore(store, metrics, clock);
}

function toldStore(store: ObjectStore, metrics: GatewayMetrics, clock: Clock): ObjectStore {
  async function told<Result>(
    operation: StoreOperation,
    work: () => Promise<Result>,
    stored?: (result: Result) => StoreMetrics['stored'],
  ): Promise<Result> {
    const sinceMs = clock.now();
    const end = (failed: string | null, what?: StoreMetrics['stored']): void =>
      metrics.storeOperation({
        operation,
        durationMs: clock.now() - sinceMs,
        failed,
        ...(what && { stored: what }),
      });
    try {
      const result = await work();
      end(null, stored?.(result));
      return result;
    } catch (error) {
      end(isOrbweaverError(error) ? error.code : 'OTHER');
      throw error;
    }
  }
  const reader = (inner: ObjectReader): ObjectReader => ({
    sizeBytes: inner.sizeBytes,
    expect: (start, end) => inner.expect?.(start, end),
    readAt: (into, offset) => told('read', () => inner.readAt(into, offset)),
    close: () => inner.close(),
  });
  const { putFrom, readTail, signedPut, signedGet, check } = store;
  return {
    ...store,
    head: (key) => told('head', () => store.head(key)),
    read: (key, range) => told('read', () => store.read(key, range)),
    ...(readTail && {
      readTail: (key, bytes) => told('read', () => readTail.call(store, key, bytes)),
    }),
    open: async (key) => {
      const opened = await told('open', () => store.open(key));
      return opened && reader(opened);
    },
    put: (key, body, options) =>
      told(
        'put',
        () => store.put(key, body, options),
        (isNew) => (isNew ? kindOf(key) : undefined),
      ),
    ...(putFrom && {
      putFrom: (key, part, options) =>
        told(
          'put',
          () => putFrom.call(store, key, part, options),
          (isNew) => (isNew === true ? kindOf(key) : undefined),
        ),
    }),
    ...(signedPut && {
      signedPut: (key, options) => told('sign', () => signedPut.call(store, key, options)),
    }),
    ...(signedGet && {
      signedGet: (key, options) => told('sign', () => signedGet.call(store, key, options)),
    }),
    async *list(prefix) {
      const sinceMs = clock.now();
      let failed: string | null = null;
      try {
        yield* store.list(prefix);
      } catch (error) {
        failed = isOrbweaverError(error) ? error.code : 'OTHER';
        throw error;
      } finally {
        metrics.storeOperation({ operation: 'list', durationMs: clock.now() - sinceMs, failed });
      }
    },
    delete: (key) => told('delete', () => store.delete(key)),
    ...(check && { check: () => told('check', () => check.call(store)) }),
  };
}

/** A tenant's objects have the same names below `tenants/<tenant>/`. */
function kindOf(key: string): NonNullable<StoreMetrics['stored']> {
  const [, name] = /^(?:tenants\/[^/]+\/)?([^/]+)\//.exec(key) ?? [];
  if (name === 'xorbs') return 'xorb';
  return name === 'shards' ? 'shard' : 'other';
}
