import { OrbweaverError } from '../errors.js';
import {
  type CorsOptions,
  checkListen,
  createGateway,
  createMetricsServer,
  createNodeServer,
  createPrometheusMetrics,
  createToken,
  createTokenSigner,
  type GatewayAccess,
  type GatewayFault,
  type GatewayMetrics,
  type GatewayToken,
  isS3Place,
  type MetricsServer,
  type MetricsServerOptions,
  type NodeServer,
  type ObjectStore,
  type Quotas,
  type RateLimitOptions,
  type S3Options,
  type TokenScope,
  type UiPage,
} from '../gateway/index.js';
import { checkOptions, is, type OptionRules } from '../options/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import { createHubEngine } from './hub-engine.js';
import { createMirror, type UpstreamOptions } from './mirror.js';
import { openStore, placeSecrets, placeTokenKeys } from './open-store.js';
import { COMPUTE_RULES, type ComputeOptions, poolOf } from './options.js';
import { followTls, readTls, type TlsFiles } from './tls-files.js';
import { readUiPage } from './ui-page.js';

/** What {@link startGateway} is told. `maxMemory` is that of the gateway; half of it is the pool's. */
export interface StartGatewayOptions extends ComputeOptions {
  /**
   * Where xorbs, shards and files are kept: a folder, made if missing, or `s3://BUCKET/PREFIX`, which any
   * number of gateways share.
   */
  readonly data: string;
  /** How the bucket of an `s3://` place is reached. @default as the AWS environment says */
  readonly s3?: S3Options | undefined;
  /**
   * Flush what was stored to the disk before it is acknowledged, so that it survives a power cut.
   * @default true
   */
  readonly sync?: boolean | undefined;
  /** Address to listen on. @default '127.0.0.1' */
  readonly host?: string | undefined;
  /** Port to listen on; 0 picks a free one. @default DEFAULT_PORT */
  readonly port?: number | undefined;
  /**
   * Files of a certificate and its key (PEM): serves HTTPS. They are read again within ten seconds after
   * they have changed. @default plain HTTP
   */
  readonly tls?: TlsFiles | undefined;
  /**
   * Addresses and networks (CIDR) of proxies in front whose `X-Forwarded-Proto`, `-Host` and `-For` are
   * believed. @default none
   */
  readonly trustedProxies?: readonly string[] | undefined;
  /** Path below which the gateway lies. @default none */
  readonly prefix?: string | undefined;
  /** One token for both scopes. @default those kept in `data`, one per scope */
  readonly token?: string | undefined;
  /**
   * All tokens that are accepted, in place of `token`. With none that may write, nobody uploads.
   * @default those kept in `data`, one per scope: made at the first start, the same from then on
   */
  readonly tokens?: readonly GatewayToken[] | undefined;
  /**
   * 32 bytes that sign fetch URLs and derive the keys of dedup responses.
   * @default those kept in `data`, which all gateways over that folder share
   */
  readonly secret?: Uint8Array | undefined;
  /** Base of the fetch URLs that responses name. @default the origin of each request and the prefix */
  readonly publicUrl?: string | undefined;
  /**
   * One chunk in so many is listed for dedup queries, a power of two up to 1024. @default 64
   */
  readonly dedupOneIn?: number | undefined;
  /** Offer upload grants, which the reference client asks for first. @default true */
  readonly grants?: boolean | undefined;
  /**
   * Clients read xorbs from the bucket by signed URLs, one for each range, and not through this gateway. They
   * have to reach it, for nothing tells them of another way. @default true where `s3.publicUrl` says that
   * they do, else false
   */
  readonly directDownloads?: boolean | undefined;
  /**
   * Serve the endpoints of the Hub and of Git LFS as well (docs/hub.md), at the same URL. @default true
   */
  readonly hub?: boolean | undefined;
  /** Serve the operator's page below `/ui/` (docs/ui.md). @default false */
  readonly ui?: boolean | undefined;
  /** How much tenants may have (docs/gateway.md). @default no limits */
  readonly quotas?: Quotas | undefined;
  /** How much one principal may ask for. @default no limit */
  readonly rateLimit?: RateLimitOptions | undefined;
  /** Which web pages may talk to the gateway. @default none */
  readonly cors?: CorsOptions | undefined;
  /** Told of each request when its response was sent: never a query or a token. */
  readonly onAccess?: ((access: GatewayAccess) => void) | undefined;
  /** Told of each response with a status of 500 or above, and of damaged data. */
  readonly onFault?: ((fault: GatewayFault) => void) | undefined;
  /** Told at the start what an operator should know: a folder that cannot be written, a full disk. */
  readonly onWarning?: ((message: string) => void) | undefined;
  /**
   * Who counts requests, operations of the store and more. @default nobody; with `metricsListen`
   * what `createPrometheusMetrics` makes
   */
  readonly metrics?: GatewayMetrics | undefined;
  /** Where `GET /metrics` is served, to whoever can reach it. @default nowhere */
  readonly metricsListen?: MetricsServerOptions | undefined;
  /**
   * Another store of the protocol, from which files come that are asked for and not registered here: they
   * are stored here first, and served from here. Only for tokens that name no tenant. @default none
   */
  readonly upstream?: UpstreamOptions | undefined;
  /** How long `close` waits for requests in flight before it cuts them off. @default 30000 */
  readonly drainMs?: number | undefined;
  /**
   * How long `close` goes on serving, with `/ready` saying 503 and every response ending its connection,
   * before it takes no new connections: what a balancer needs to notice. @default 0
   */
  readonly drainDelayMs?: number | undefined;
}

/** A gateway that listens. */
export interface RunningGateway {
  /** Base URL for clients on this machine. */
  readonly url: string;
  /** Of `tokens`, the first that only reads, else one that also writes. */
  readonly readToken: string;
  /** Reads and writes; empty when none of `tokens` may. */
  readonly writeToken: string;
  /** The operator's page; null without `ui`. */
  readonly uiUrl: string | null;
  /** What a collector of metrics asks for; null without `metricsListen`. */
  readonly metricsUrl: string | null;
  /** Lets requests in flight finish, then stops. Safe to call twice. */
  close(): Promise<void>;
}

const RULES: OptionRules<StartGatewayOptions> = {
  ...COMPUTE_RULES,
  // Its own bound is another one.
  maxMemory: is.number(0),
  data: is.required(is.text),
  s3: is.object,
  sync: is.flag,
  host: is.text,
  port: is.integer(0, 65_535),
  tls: is.object,
  trustedProxies: is.texts,
  prefix: is.text,
  token: is.text,
  tokens: is.object,
  secret: is.object,
  publicUrl: is.text,
  dedupOneIn: is.integer(1, 1024),
  grants: is.flag,
  directDownloads: is.flag,
  hub: is.flag,
  ui: is.flag,
  quotas: is.object,
  rateLimit: is.object,
  cors: is.object,
  onAccess: is.callback,
  onFault: is.callback,
  onWarning: is.callback,
  metrics: is.object,
  metricsListen: is.object,
  upstream: is.object,
  drainMs: is.number(0),
  drainDelayMs: is.number(0),
};

/** Enough for an upload or two at a time, each with xorbs of some MiB. */
const HUB_MEMORY_BYTES = 48 * 1024 * 1024;

/** The smallest gateway: its parts are the smallest that work. */
const LEAST_MEMORY_BYTES = 32 * 1024 * 1024;

/**
 * Runs a gateway over a folder on disk or a bucket, with uploads verified by a worker pool.
 *
 * @throws TypeError, RangeError for wrong options; OrbweaverError `PORT_IN_USE`, `STORAGE_FAILED` when the folder or bucket cannot be used,
 * `USAGE` and `INPUT_UNREADABLE` for TLS files that cannot be used, `USAGE` for a bucket without the AWS SDK,
 * `INPUT_UNREADABLE` when the files of the page are not there
 * @example
 * const gateway = await startGateway({ data: './store', port: 0 });
 * console.log(gateway.url);
 * await gateway.close();
 */
export async function startGateway(options: StartGatewayOptions): Promise<RunningGateway> {
  checkOptions('startGateway', options, RULES);
  const { maxMemory, onAccess, onFault, publicUrl, cors, grants, dedupOneIn } = options;
  if (maxMemory !== undefined && !(maxMemory >= LEAST_MEMORY_BYTES)) {
    const message = `"maxMemory" expected at least ${LEAST_MEMORY_BYTES} bytes, got ${maxMemory}`;
    throw new OrbweaverError('USAGE', message);
  }
  const directDownloads = isDirect(options);
  const half = maxMemory === undefined ? undefined : Math.floor(maxMemory / 2);
  const given = givenTokens(options);
  const tls = options.tls === undefined ? undefined : await readTls(options.tls);
  const ui = options.ui === true ? await uiPageOf(options) : undefined;
  await checkListen({ host: options.host, port: options.port });
  const store = await openStore(options.data, { sync: options.sync, s3: options.s3 });
  const { state, detail } = (await store.check?.()) ?? { state: 'ok', detail: '' };
  if (state !== 'ok') options.onWarning?.(`the store is ${state}: ${detail}`);
  const { tokens, secret } = await secretsOf(options, store, given);
  const metrics = await metricsOf(options);
  // An eighth for what uploads whole files in the name of clients of the Hub; its pool opens with the first.
  const hub = options.hub !== false;
  const engineMemory = maxMemory === undefined ? HUB_MEMORY_BYTES : Math.floor(maxMemory / 8);
  const poolMemory = half !== undefined && hub ? half - engineMemory : half;
  const engine = hub
    ? createHubEngine({ ...computeOf(options), maxMemory: engineMemory })
    : undefined;
  const pool = await poolOf({ ...options, maxMemory: poolMemory });
  const closers = [() => pool.close(), async () => store.close?.()];
  if (engine !== undefined) closers.push(() => engine.close());
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  const inside = createToken();
  const mirror = options.upstream === undefined ? undefined : createMirror(options.upstream);
  if (mirror !== undefined) closers.push(() => mirror.close());
  try {
    const gateway = createGateway({
      store,
      hasher: pool.kernels.hasher,
      codec: pool.kernels.codec,
      verifier: { receive: (body) => pool.receiveXorb(body) },
      tokens: mirror === undefined ? tokens : [...tokens, { ...UPSTREAM, token: inside }],
      upstream: mirror,
      signer: createTokenSigner({ keys: placeTokenKeys(options.data, store) }),
      ...{ hub: engine, ui },
      options: {
        ...{ publicUrl, onAccess, onFault, cors, grants, secret, dedupOneIn, metrics },
        ...{ quotas: options.quotas, rateLimit: options.rateLimit, directDownloads },
        maxMemory: half,
      },
    });
    closers.push(() => gateway.close());
    if (mirror !== undefined) {
      mirror.into({ exchange: gateway.exchange, token: inside });
      closers.push(() => mirror.close());
    }
    const { host, port, prefix, drainMs, trustedProxies, onWarning } = options;
    const collected = await collect(options, metrics);
    if (collected !== null) closers.push(() => collected.close());
    const onCut = (count: number): void =>
      onWarning?.(`connections with unfinished requests were cut: ${count}`);
    const server = await createNodeServer(gateway, {
      ...{ host, port, prefix, drainMs, trustedProxies, tls, onCut },
    });
    metrics?.watch?.({ connections: () => server.connectionCount() });
    closers.push(async () => {
      gateway.drain();
      await lameDuck(server, options.drainDelayMs ?? 0);
      await server.close();
    });
    if (options.tls !== undefined) {
      const stop = followTls(options.tls, { use: (changed) => server.setTls(changed), onWarning });
      closers.push(async () => stop());
    }
    warnOfUnsafeUrls(options, server.host);
    let closing: Promise<void> | undefined;
    const url = server.url + (prefix ?? '').replace(/\/+$/, '');
    return {
      url,
      uiUrl: ui === undefined ? null : `${url}/ui/`,
      readToken: tokenFor(tokens, 'read') ?? tokenFor(tokens, 'write') ?? '',
      writeToken: tokenFor(tokens, 'write') ?? '',
      metricsUrl: collected?.url ?? null,
      close: () => {
        closing ??= closeAll();
        return closing;
      },
    };
  } catch (error) {
    await closeAll();
    throw error;
  }
}

/** With a bucket whose URLs clients are given, the page may talk to that as well. */
async function uiPageOf({ s3 }: StartGatewayOptions): Promise<UiPage> {
  const bucket = s3?.publicUrl ?? s3?.endpoint;
  const isUrl = bucket !== undefined && URL.canParse(bucket);
  return { ...(await readUiPage()), connect: isUrl ? [new URL(bucket).origin] : [] };
}

/** @throws OrbweaverError `USAGE` where only the gateway can read */
function isDirect({ data, s3, directDownloads }: StartGatewayOptions): boolean {
  if (directDownloads === true && !isS3Place(data)) {
    const message =
      '"directDownloads" expected an s3:// place; nobody but the gateway reads a folder';
    throw new OrbweaverError('USAGE', message);
  }
  return directDownloads ?? (isS3Place(data) && s3?.publicUrl !== undefined);
}

/** Who stores what comes from upstream; its token never leaves the process. */
const UPSTREAM = { scope: 'append', id: 'upstream' } as const;

/** Where numbers are read on an address of their own, there are some. */
async function metricsOf(options: StartGatewayOptions): Promise<GatewayMetrics | undefined> {
  const { metrics, metricsListen } = options;
  return metrics ?? (metricsListen === undefined ? undefined : createPrometheusMetrics());
}

async function collect(
  { metricsListen }: StartGatewayOptions,
  metrics: GatewayMetrics | undefined,
): Promise<MetricsServer | null> {
  if (metricsListen === undefined) return null;
  const read = metrics?.read;
  if (read === undefined) throw new OrbweaverError('USAGE', '"metrics" expected to have "read"');
  return createMetricsServer({ read: () => read.call(metrics) }, metricsListen);
}

/** Goes on serving for a while that is known to be the last. */
async function lameDuck(server: NodeServer, delayMs: number): Promise<void> {
  server.drain();
  if (delayMs > 0)
    await new Promise((resolve) => SYSTEM_CLOCK.setTimer(delayMs, () => resolve(null)));
}

function computeOf(options: StartGatewayOptions): ComputeOptions {
  const { workers, tier, sharedMemory, compression, workerUrl } = options;
  return { workers, tier, sharedMemory, compression, workerUrl };
}

/**
 * Fetch URLs begin with what clients ask for. Behind something that speaks TLS for this gateway that
 * would be `http:`, which clients that came by `https:` refuse.
 */
function warnOfUnsafeUrls(
  { tls, publicUrl, trustedProxies = [], onWarning }: StartGatewayOptions,
  host: string,
): void {
  const isLocal = /^(?:127\.|::1$|localhost$)/.test(host);
  if (isLocal || tls !== undefined || publicUrl !== undefined || trustedProxies.length > 0) return;
  onWarning?.(
    `listening on ${host} without TLS: tokens cross the network in the clear, and behind a proxy that speaks ` +
      'TLS fetch URLs would be http:, which clients refuse. Give --tls-cert and --tls-key, or name the ' +
      'address that clients use with --public-url',
  );
}

function givenTokens({ token, tokens }: StartGatewayOptions): readonly GatewayToken[] | undefined {
  const given =
    tokens ?? (token === undefined ? [] : [{ token, scope: 'write' as const, id: 'write token' }]);
  if (!given.every((each) => /^[\x21-\x7e]+$/.test(each.token))) {
    throw new OrbweaverError('USAGE', '"token" expected visible ASCII characters');
  }
  return tokens === undefined && token === undefined ? undefined : given;
}

/** What was given, and what the store keeps for the rest; nothing is kept that nobody needs. */
async function secretsOf(
  { data, secret, onWarning }: StartGatewayOptions,
  store: ObjectStore,
  given: readonly GatewayToken[] | undefined,
): Promise<{ readonly tokens: readonly GatewayToken[]; readonly secret: Uint8Array }> {
  if (given !== undefined && secret !== undefined) return { tokens: given, secret };
  const kept = await placeSecrets(data, store);
  if (kept.warning !== null) onWarning?.(kept.warning);
  const tokens: readonly GatewayToken[] = [
    { token: kept.writeToken, scope: 'write', id: 'write token' },
    { token: kept.readToken, scope: 'read', id: 'read token' },
  ];
  return { tokens: given ?? tokens, secret: secret ?? kept.secret };
}

function tokenFor(tokens: readonly GatewayToken[], scope: TokenScope): string | undefined {
  return tokens.find((each) => each.scope === scope)?.token;
}
