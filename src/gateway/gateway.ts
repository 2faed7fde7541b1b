import { hexEncode } from '../bytes/index.js';
import type { BlockCodec } from '../compress/ports.js';
import { OrbweaverError } from '../errors.js';
import type { Clock } from '../flow/index.js';
import type { Hasher } from '../hash/ports.js';
import type { Exchange } from '../http/index.js';
import { type RandomBytes, SYSTEM_CLOCK, systemRandomBytes } from '../platform/index.js';
import { XORB_ACCEPT_MAX_BYTES } from '../xorb/index.js';
import { createBodyBuffers } from './body-buffers.js';
import type { Call, Handler } from './call.js';
import { compressed } from './compress.js';
import { createDamageList } from './damage-list.js';
import { createDedupResponses } from './dedup-responses.js';
import { createDispatch } from './dispatch.js';
import { isFault, statusOf } from './failures.js';
import { createFileCatalog } from './file-catalog.js';
import { createUploadGrants } from './grants.js';
import type { Claims } from './hub/claims.js';
import { basicTokens, type HubEngine, hubErrors, hubOver, prefixedTokens } from './hub/index.js';
import { repairIndex } from './index-repair.js';
import { createKeeper } from './keeper.js';
import { createMemory } from './memory.js';
import { metered, meteredStore } from './metrics.js';
import { access, announced, auth, budget, cors, fault, offered } from './middleware.js';
import { type GatewayOptions, type GatewaySettings, gatewaySettings } from './options.js';
import type {
  Authenticate,
  FileSource,
  GatewayToken,
  ObjectStore,
  XorbReceiver,
  XorbVerifier,
} from './ports.js';
import { countUsage, createTenantQuota, quotaFor } from './quotas.js';
import { limited } from './rate-limits.js';
import { chunkHashRoutes } from './route-chunk-hashes.js';
import { chunkRoutes } from './route-chunks.js';
import { fetchRoutes } from './route-fetch.js';
import { fileRoutes } from './route-files.js';
import { grantRoutes } from './route-grants.js';
import { metricsRoutes } from './route-metrics.js';
import { reconstructionRoutes } from './route-reconstructions.js';
import { serviceRoutes } from './route-service.js';
import { shardRoutes } from './route-shards.js';
import { xorbRoutes } from './route-xorbs.js';
import { createRouter, type Route } from './router.js';
import { createSecrets } from './secrets.js';
import type { GatewayServices, SharedServices } from './services.js';
import { createShardOutlines } from './shard-outline.js';
import { createStoreIndex } from './store-index.js';
import { createTenantSets, type TenantSet } from './tenant-sets.js';
import { tenantStore } from './tenants.js';
import { createTermTrees } from './term-trees.js';
import { createThreadVerifier } from './thread-verifier.js';
import type { TokenSigner } from './token-signer.js';
import { anyOf, tokenList } from './tokens.js';
import { createTurns } from './turns.js';
import { createUi, type Ui, type UiPage } from './ui/index.js';
import { type MountOptions, mountPrefix, viaExchange } from './web.js';
import { createXorbCatalog } from './xorb-catalog.js';
import { createXorbHealth } from './xorb-health.js';

/** What a gateway is made of. */
export interface GatewayParts {
  readonly store: ObjectStore;
  /** BLAKE3 for every hash the gateway checks or makes. */
  readonly hasher: Hasher;
  /** For the default verifier. */
  readonly codec: BlockCodec;
  /** @default createThreadVerifier({ codec, hasher }) */
  readonly verifier?: XorbVerifier | XorbReceiver | undefined;
  /** @default the clock of the machine */
  readonly clock?: Clock | undefined;
  /** @default the random bytes of the machine */
  readonly random?: RandomBytes | undefined;
  /** Bearer tokens that are accepted, unless `authenticate` decides. */
  readonly tokens?: readonly GatewayToken[] | undefined;
  /** Who is asking. @default whoever has one of `tokens`; with none, only /health and signed URLs work */
  readonly authenticate?: Authenticate | undefined;
  /** Accepts its tokens besides those, and makes some for whoever asks for them. @default none */
  readonly signer?: TokenSigner | undefined;
  /**
   * Stores files that come whole: with it the endpoints of the Hub and of Git LFS are served as well
   * (docs/hub.md), over a store that has `values`. @default none of them
   */
  readonly hub?: HubEngine | undefined;
  /**
   * Brings files that are asked for and not registered, for those who name no tenant. @default nobody:
   * they are 404
   */
  readonly upstream?: FileSource | undefined;
  /** The operator's page, served below `/ui/` (docs/ui.md). @default none, and nothing is watched for it */
  readonly ui?: UiPage | undefined;
  readonly options?: GatewayOptions | undefined;
}

/** Memory that a gateway holds. */
export interface GatewayUsage {
  /** Bodies, dedup responses and caches. */
  readonly usedBytes: number;
  /** The most that bodies and dedup responses ever held at once. */
  readonly peakBytes: number;
  readonly maxBytes: number;
}

/** A storage server. */
export interface Gateway {
  /**
   * The whole server as one function: request in, response out. Never rejects. The body of the
   * response must be read to its end or cancelled. For clients in the same process: it names no URL but
   * its own.
   */
  readonly exchange: Exchange;
  /**
   * The same under a path prefix, for clients elsewhere: paths are read, and fetch URLs named, below it;
   * with `directDownloads` those of the store.
   */
  mount(prefix: string): Exchange;
  /** The same for web Requests, wherever such handlers run. */
  handle(request: Request, options?: MountOptions): Promise<Response>;
  usage(): GatewayUsage;
  /**
   * From now on `/ready` is 503, so that balancers send requests elsewhere; everything else goes on.
   * For the time before `close`.
   */
  drain(): void;
  /** New requests get 503 from now on; resolves when the running ones are done. */
  close(): Promise<void>;
}

/**
 * A storage server of the Xet CAS protocol.
 *
 * | path | methods | needs (`scopes.ts`) |
 * |---|---|---|
 * | /v1/xorbs/{prefix}/{xorb} | POST, HEAD | append, ask |
 * | /v1/xorb-grants/{prefix}/{xorb} | POST | append |
 * | /v1/xorb-uploads/{xorb}/{grant} | PUT | a signed URL |
 * | /v1/xorb-commits/{prefix}/{xorb}/grant/{grant} | POST | append |
 * | /v1/shards, /v2/shards | POST | append |
 * | /v1/reconstructions/{file}, /v2/reconstructions/{file} | GET | read |
 * | /v1/reconstructions | POST, GET | read |
 * | /v1/chunks/{prefix}/{chunk} | GET | ask |
 * | /v1/chunks/{prefix} | POST | ask |
 * | /v2/file-chunk-hashes/{file} | GET | read |
 * | /v1/files/{file} | HEAD | ask |
 * | /v1/fetch/{xorb} | GET, HEAD | a signed URL |
 * | /v1/telemetry | POST | ask |
 * | /health, /ready | GET, HEAD | none |
 * | /metrics, where `options.metrics` can be read | GET | admin |
 * | /ui/…, with `ui` | GET, HEAD | none |
 * | /ui/api/…, with `ui` | GET | read |
 *
 * With `hub`, those of the Hub and of Git LFS (docs/hub.md) are there as well.
 *
 * Everything else is 404 before the token is looked at.
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
  const closing = new AbortController();
  const random = parts.random ?? systemRandomBytes;
  const ui = createUiOf(parts, settings);
  const report = faultReporter(settings.onFault, ui);
  const nextRequestId = createRequestIds(random);
  let draining = false;
  const shared = createSharedServices(parts, settings, random, {
    background: (work) => track(running, work),
    closing: closing.signal,
    fault: report,
    isDraining: () => draining,
  });
  const { memory, clock } = shared;
  if (settings.quotas !== null && parts.store.values === undefined) {
    throw new TypeError('"quotas" expected a store that keeps values');
  }
  const store = meteredStore(parts.store, settings.metrics, clock);
  const make = (tenant: string | undefined): TenantSet => {
    const services = createTenantServices(store, shared, {
      tenant,
      onScarce: () => tenants.forgetDedup(),
      upstream: tenant === undefined ? (parts.upstream ?? null) : null,
    });
    const { hub: engine, codec, signer } = parts;
    const inside = insideOf(tenant);
    const hub = engine === undefined ? null : hubOver({ services, codec, engine, signer, inside });
    const routes = [
      ...routesOver(services, hub?.hub.claims),
      ...(hub?.routes ?? []),
      // Last, so that a namespace of the name "ui" keeps its files.
      ...(ui?.routes(services, hub !== null) ?? []),
    ];
    return { services, routes };
  };
  const tenants = createTenantSets({ make, cacheBytes: memory.cacheBytes.whole });
  // What is asked is found in the routes over the root; who handles it is the same route of a tenant.
  const offers = make(undefined).routes;
  const router = createRouter(offers);
  const dispatch = createDispatch({ store, shared, tenants, offers });
  let closed = false;
  const known = anyOf([
    parts.authenticate ?? tokenList(parts.tokens ?? [], parts.hasher, random),
    ...(parts.signer === undefined ? [] : [parts.signer.authenticate]),
  ]);
  const steps = [
    metered(settings.metrics, clock),
    ...(ui === null ? [] : [ui.step]),
    access(settings.onAccess, clock),
    compressed(),
    cors(settings.cors),
    announced(settings.dedupOneIn),
    fault(report),
    hubErrors(report),
    offered(() => closed),
    basicTokens(),
    auth(parts.hub === undefined ? known : prefixedTokens(known)),
    limited(settings.rateLimit, clock),
    budget(shared),
  ];
  const handle = steps.reduceRight<Handler>((next, step) => step(next), dispatch);

  // What the Hub stores itself, in the name of a tenant: also while running requests end.
  const insideSteps = [
    announced(settings.dedupOneIn),
    fault(report),
    offered(() => false),
    budget(shared),
  ];
  const insideHandle = insideSteps.reduceRight<Handler>((next, step) => step(next), dispatch);
  function insideOf(tenant: string | undefined): Exchange {
    return (request) => {
      const { pathname: path, origin } = request.url;
      const response = insideHandle({
        request,
        requestId: nextRequestId(),
        path,
        match: router.match(request.method, path),
        baseUrl: origin,
        isOutside: false,
        principal: { id: 'hub', scope: 'write', tenant },
        seen: { principalId: 'hub' },
      });
      track(running, response);
      return response;
    };
  }

  const mounted = (prefix: string, isOutside: boolean): Exchange => {
    const below = mountPrefix(prefix);
    return (request) => {
      const { pathname, origin } = request.url;
      const isBelow = pathname.startsWith(`${below}/`);
      const path = isBelow ? pathname.slice(below.length) : '';
      const response = handle({
        request,
        requestId: nextRequestId(),
        path,
        match: router.match(request.method, path),
        baseUrl: settings.publicUrl ?? origin + below,
        isOutside,
        principal: null,
        seen: { principalId: null },
      });
      track(running, response);
      return response;
    };
  };
  const mount = (prefix: string): Exchange => mounted(prefix, true);

  const usage = (): GatewayUsage => ({
    usedBytes: memory.whole.usedBytes + tenants.usedBytes,
    peakBytes: memory.whole.peakBytes,
    maxBytes: settings.maxMemory,
  });
  settings.metrics?.watch?.({ memory: usage });
  return {
    exchange: mounted('', false),
    mount,
    handle: (request, options = {}) => viaExchange(mount(options.prefix ?? ''), request),
    usage,
    drain() {
      draining = true;
    },
    async close() {
      draining = true;
      closed = true;
      closing.abort(new OrbweaverError('CLOSED', 'the gateway is closing'));
      while (running.size > 0) await Promise.allSettled(running);
      shared.buffers.close();
    },
  };
}

function routesOver(services: GatewayServices, claims: Claims | undefined): Route[] {
  return [
    ...xorbRoutes(services),
    ...(services.settings.grants ? grantRoutes(services) : []),
    ...shardRoutes(services, claims),
    ...reconstructionRoutes(services),
    ...chunkRoutes(services),
    ...chunkHashRoutes(services),
    ...fileRoutes(services),
    ...fetchRoutes(services),
    ...serviceRoutes(services),
    ...metricsRoutes(services),
  ];
}

/** Two at a time: each is work of the one thread that serves everybody, in slices. */
const CONCURRENT_SHARDS = 2;
const CONCURRENT_PLANS = 4;

function createSharedServices(
  parts: GatewayParts,
  settings: GatewaySettings,
  random: RandomBytes,
  hooks: Pick<GatewayServices, 'background' | 'closing' | 'fault' | 'isDraining'>,
): SharedServices {
  const { hasher, codec } = parts;
  const clock = parts.clock ?? SYSTEM_CLOCK;
  const secret = settings.secret ?? random(32);
  return {
    hasher,
    random,
    settings,
    verifier: parts.verifier ?? createThreadVerifier({ codec, hasher }),
    clock,
    memory: createMemory(settings, clock),
    buffers: createBodyBuffers(clock, XORB_ACCEPT_MAX_BYTES),
    signer: parts.signer ?? null,
    secretsOf: (tenant) => createSecrets(secret, hasher, tenant),
    shardTurns: createTurns(CONCURRENT_SHARDS),
    planTurns: createTurns(CONCURRENT_PLANS),
    ...hooks,
  };
}

/** What holds something of one tenant. */
function createTenantServices(
  root: ObjectStore,
  shared: SharedServices,
  facts: Pick<GatewayServices, 'upstream'> & {
    readonly tenant: string | undefined;
    readonly onScarce: () => void;
  },
): GatewayServices {
  const { tenant, onScarce, upstream } = facts;
  const { hasher, random, settings, verifier, clock, memory, buffers } = shared;
  const { cacheBytes } = memory;
  const store = tenantStore(root, tenant);
  const secrets = shared.secretsOf(tenant);
  const damage = createDamageList({ values: store.values, clock });
  const keeper = createKeeper({ values: store.values, clock });
  const index = createStoreIndex({
    store,
    hasher,
    clock,
    cacheBytes: cacheBytes.index,
    background: shared.background,
    onDamage: () => {
      const repaired = repairIndex({
        store,
        index,
        hasher,
        oneIn: settings.dedupOneIn,
        onlyMapped: true,
        signal: shared.closing,
      });
      shared.background(repaired);
    },
  });
  const xorbs = createXorbCatalog({ store, hasher, cacheBytes: cacheBytes.footers });
  const outlines = createShardOutlines({
    store,
    hasher,
    xorbs,
    cacheBytes: cacheBytes.outlines,
    oneIn: settings.dedupOneIn,
  });
  const health = createXorbHealth({
    store,
    xorbs,
    verifier,
    buffers,
    keeper,
    damage,
    onDamage: () => dedup.forget(),
  });
  const dedup = createDedupResponses({
    build: { hasher, outlines, health, keeper },
    index,
    secrets,
    clock,
    memory: memory.dedup,
    onScarce,
  });
  return {
    ...shared,
    store,
    secrets,
    xorbs,
    health,
    keeper,
    damage,
    outlines,
    dedup,
    upstream,
    grants: createUploadGrants({ store, secrets, clock, random, settings }),
    quota: createTenantQuota({
      quota: quotaFor(settings.quotas, tenant),
      values: store.values,
      clock,
      random,
      count: () => countUsage(store, index),
    }),
    trees: createTermTrees({ hasher, cacheBytes: cacheBytes.trees }),
    index,
    files: createFileCatalog({ index, cacheBytes: cacheBytes.files }),
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

/** Tells `onFault` and the operator's page about faults of ours and of the store. */
function faultReporter(
  onFault: GatewayOptions['onFault'],
  ui: Ui | null,
): (call: Call, error: unknown) => void {
  return (call, error) => {
    if (!isFault(error)) return;
    const { request, requestId, path } = call;
    onFault?.({ requestId, method: request.method, path, status: statusOf(error), error });
    ui?.fault(call, error);
  };
}

/** The page may also talk to the address that URLs of this gateway begin with. */
function createUiOf(
  { ui, hasher, clock = SYSTEM_CLOCK }: GatewayParts,
  { publicUrl }: GatewaySettings,
): Ui | null {
  if (ui === undefined) return null;
  const connect = [
    ...(ui.connect ?? []),
    ...(publicUrl === null ? [] : [new URL(publicUrl).origin]),
  ];
  return createUi({ ...ui, connect }, { hasher, clock });
}
