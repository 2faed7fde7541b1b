import { hexEncode } from '../bytes/index.js';
import type { BlockCodec } from '../compress/ports.js';
import type { Hasher } from '../hash/ports.js';
import { XORB_ACCEPT_MAX_BYTES } from '../xorb/index.js';
import { createBodyBuffers } from './body-buffers.js';
import { createByteBudget } from './byte-budget.js';
import { failure, statusOf } from './failures.js';
import { createFileCatalog } from './file-catalog.js';
import { type GatewaySettings, gatewaySettings } from './options.js';
import { createRandomBytes, createSystemClock, createThreadVerifier } from './platform.js';
import type {
  Clock,
  Gateway,
  GatewayAnswer,
  GatewayOptions,
  GatewayRequest,
  GatewayToken,
  ObjectStore,
  RandomBytes,
  XorbReceiver,
  XorbVerifier,
} from './ports.js';
import { emptyAnswer, errorAnswer } from './responses.js';
import { chunkRoutes } from './route-chunks.js';
import { fetchRoutes } from './route-fetch.js';
import { fileRoutes } from './route-files.js';
import { reconstructionRoutes } from './route-reconstructions.js';
import { serviceRoutes } from './route-service.js';
import { shardRoutes } from './route-shards.js';
import { xorbRoutes } from './route-xorbs.js';
import { createRouter } from './router.js';
import { createSecrets } from './secrets.js';
import type { GatewayServices } from './services.js';
import { createShardCatalog } from './shard-catalog.js';
import { createTokenGuard } from './tokens.js';
import { fromWebRequest, toWebResponse } from './web.js';
import { createXorbCatalog } from './xorb-catalog.js';

/** What a gateway is made of. */
export interface GatewayParts {
  readonly store: ObjectStore;
  /** BLAKE3 for every hash the gateway checks or makes. */
  readonly hasher: Hasher;
  /** For the default verifier. */
  readonly codec: BlockCodec;
  /** @default createThreadVerifier({ codec, hasher }) */
  readonly verifier?: XorbVerifier | XorbReceiver | undefined;
  /** @default createSystemClock() */
  readonly clock?: Clock | undefined;
  /** @default createRandomBytes() */
  readonly random?: RandomBytes | undefined;
  /** Bearer tokens that are accepted; with none, only /health and signed URLs answer. */
  readonly tokens: readonly GatewayToken[];
  readonly options?: GatewayOptions | undefined;
}

/**
 * A storage server of the Xet CAS protocol as a function from Request to Response.
 *
 * | path | methods | scope |
 * |---|---|---|
 * | /v1/xorbs/{prefix}/{xorb} | POST, HEAD | write, read |
 * | /v1/shards, /v2/shards | POST | write |
 * | /v1/reconstructions/{file}, /v2/reconstructions/{file} | GET | read |
 * | /v1/reconstructions | POST, GET | read |
 * | /v1/chunks/{prefix}/{chunk} | GET | read |
 * | /v1/files/{file} | HEAD | read |
 * | /v1/fetch/{xorb} | GET, HEAD | a signed URL |
 * | /v1/telemetry | POST | read |
 * | /health | GET, HEAD | none |
 *
 * Everything else is 404 before the token is looked at. `handle` never rejects.
 *
 * @throws TypeError, RangeError for options that cannot be meant
 * @example
 * const gateway = createGateway({
 *   store: createMemoryStore(),
 *   hasher,
 *   codec,
 *   tokens: [{ token: 'secret', scope: 'write' }],
 * });
 * const response = await gateway.handle(new Request('http://localhost/health'));
 */
export function createGateway(parts: GatewayParts): Gateway {
  const settings = gatewaySettings(parts.options);
  const running = new Set<Promise<unknown>>();
  const random = parts.random ?? createRandomBytes();
  const guard = createTokenGuard(parts.tokens, parts.hasher, random);
  const report = faultReporter(parts.options?.onFault);
  const nextRequestId = createRequestIds(random);

  const services = createServices(parts, settings, random, {
    background: (work) => track(running, work),
    fault: ({ request, requestId }, error) => report(request, requestId, error),
  });
  const router = createRouter([
    ...xorbRoutes(services),
    ...shardRoutes(services),
    ...reconstructionRoutes(services),
    ...chunkRoutes(services),
    ...fileRoutes(services),
    ...fetchRoutes(services),
    ...serviceRoutes(),
  ]);
  let closed = false;

  async function dispatch(request: GatewayRequest, requestId: string): Promise<GatewayAnswer> {
    const match = router.match(request.method, request.path);
    if (match.kind === 'unknown') throw failure(404, 'NOT_FOUND', 'this gateway has no such path');
    if (match.kind === 'wrong-method') return emptyAnswer(405, { allow: match.allow });
    if (closed) throw failure(503, 'CLOSED', 'the gateway is shutting down');
    const { route, params } = match;
    if (route.scope !== null) guard.check(request.header('authorization'), route.scope);
    const baseUrl = settings.publicUrl ?? request.origin;
    return route.handle({ request, requestId, params, baseUrl });
  }

  async function answerOne(request: GatewayRequest): Promise<GatewayAnswer> {
    const requestId = nextRequestId();
    let answer: GatewayAnswer;
    try {
      answer = await dispatch(request, requestId);
    } catch (error) {
      report(request, requestId, error);
      answer = errorAnswer(error);
    }
    return { ...answer, headers: { ...answer.headers, 'x-request-id': requestId } };
  }

  const answer = (request: GatewayRequest): Promise<GatewayAnswer> => {
    const answered = answerOne(request);
    track(running, answered);
    return answered;
  };

  return {
    answer,
    async handle(request: Request): Promise<Response> {
      return toWebResponse(await answer(fromWebRequest(request)));
    },
    async close(): Promise<void> {
      closed = true;
      while (running.size > 0) await Promise.allSettled(running);
      services.buffers.close();
    },
  };
}

function createServices(
  parts: GatewayParts,
  settings: GatewaySettings,
  random: RandomBytes,
  hooks: Pick<GatewayServices, 'background' | 'fault'>,
): GatewayServices {
  const { store, hasher, codec } = parts;
  const clock = parts.clock ?? createSystemClock();
  // Footers are asked for most often by far: they get half of the memory.
  const half = Math.ceil(settings.cacheBytes / 2);
  const quarter = Math.ceil(settings.cacheBytes / 4);
  return {
    store,
    hasher,
    random,
    settings,
    verifier: parts.verifier ?? createThreadVerifier({ codec, hasher }),
    clock,
    buffers: createBodyBuffers(clock, XORB_ACCEPT_MAX_BYTES),
    secrets: createSecrets(settings.secret ?? random(32), hasher),
    budget: createByteBudget(
      Math.max(settings.bodyMemoryBytes, XORB_ACCEPT_MAX_BYTES),
      settings.maxWaitingCount,
    ),
    xorbs: createXorbCatalog({ store, hasher, cacheBytes: half }),
    files: createFileCatalog({ store, cacheBytes: quarter }),
    shards: createShardCatalog({ store, hasher, cacheBytes: quarter }),
    ...hooks,
  };
}

/** 16 digits: 8 random ones for this gateway, 8 that count, so that no two gateways share ids. */
function createRequestIds(random: RandomBytes): () => string {
  const prefix = hexEncode(random(4));
  let count = 0;
  return () => {
    count = (count + 1) >>> 0;
    return prefix + count.toString(16).padStart(8, '0');
  };
}

/** Keeps `work` in `running` until it settles, however that is. */
function track(running: Set<Promise<unknown>>, work: Promise<unknown>): void {
  const settled = work.then(
    () => undefined,
    () => undefined,
  );
  running.add(settled);
  void settled.then(() => running.delete(settled));
}

/** Tells `onFault` about statuses of 500 and above, 503 aside: being busy or closing is no fault. */
function faultReporter(
  onFault: GatewayOptions['onFault'],
): (request: GatewayRequest, requestId: string, error: unknown) => void {
  return (request, requestId, error) => {
    const status = statusOf(error);
    if (onFault === undefined || status < 500 || status === 503) return;
    const { method, path } = request;
    onFault({ requestId, method, path, status, error });
  };
}
