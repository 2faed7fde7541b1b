/**
 * The storage side of the protocol: one exchange, request in and response out, over a small object
 * store. `gateway.ts` wires it, `middleware.ts` is what happens to every request, one `route-*.ts`
 * file per group of endpoints, and what decides without touching anything (ranges, conditions,
 * statuses, signatures) is pure functions.
 */

export type { CorsOptions } from './cors.js';
export { createGateway, type Gateway, type GatewayParts, type GatewayUsage } from './gateway.js';
export {
  type HubEngine,
  type HubStored,
  type HubUpload,
  hubRoots,
  openRepositories,
  type PrunedRepositories,
  type PruneOptions,
  pruneRepositories,
  type Repositories,
  type RepositoryInfo,
  sweepHub,
} from './hub/index.js';
export {
  createGatewayLog,
  type GatewayLog,
  type GatewayLogOptions,
  LOG_LEVELS,
  type LogLevel,
} from './log.js';
export type {
  DedupMetrics,
  GatewayMemoryUse,
  GatewayMetrics,
  MetricSources,
  MetricsText,
  RequestMetrics,
  StoreMetrics,
  StoreOperation,
} from './metrics.js';
export { createFastifyPlugin, type FastifyLike } from './node-fastify.js';
export {
  createNodeListener,
  type NodeListener,
  type NodeListenerOptions,
} from './node-listener.js';
export {
  createMetricsServer,
  type MetricsServer,
  type MetricsServerOptions,
} from './node-metrics-server.js';
export { createPrometheusMetrics, type PrometheusOptions } from './node-prometheus.js';
export {
  checkListen,
  createNodeServer,
  DEFAULT_PORT,
  type NodeServer,
  type NodeServerOptions,
} from './node-server.js';
export type { NodeTls } from './node-tls.js';
export { GATEWAY_DEFAULTS, type GatewayOptions } from './options.js';
export type {
  Authenticate,
  FileSource,
  GatewayAccess,
  GatewayFault,
  GatewayToken,
  ObjectBody,
  ObjectEntry,
  ObjectInfo,
  ObjectPart,
  ObjectRange,
  ObjectReader,
  ObjectStore,
  ObjectTail,
  Principal,
  PutOptions,
  RequestHead,
  SignedGet,
  SignedGetOptions,
  SignedPut,
  SignedPutOptions,
  StoredValue,
  StoreState,
  TokenScope,
  ValueEntry,
  ValueStore,
  VerifiedXorb,
  XorbReceiver,
  XorbVerifier,
} from './ports.js';
export { type Quota, type Quotas, type RecountParts, recount, recountCounted } from './quotas.js';
export type { RateLimitOptions } from './rate-limits.js';
export { isTokenScope, TOKEN_SCOPES } from './scopes.js';
export {
  createDiskStore,
  createMemoryStore,
  createS3Store,
  type DiskStoreOptions,
  isObjectKey,
  isS3Place,
  type KeptSecrets,
  keptSecrets,
  keptTokenKeys,
  MAX_VALUE_BYTES,
  prefixedStore,
  type S3Options,
  secretsInValues,
  tokenKeysInValues,
} from './stores/index.js';
export { isTenant, nameTenant, tenantStore, tenantsOf } from './tenants.js';
export { createThreadVerifier } from './thread-verifier.js';
export { memoryTokenKeys, type TokenKey, type TokenKeys } from './token-keys.js';
export {
  addTokenKey,
  createTokenSigner,
  type IssuedToken,
  type TokenClaims,
  type TokenSigner,
  type TokenSignerOptions,
} from './token-signer.js';
export { createToken } from './tokens.js';
export type { UiFile, UiPage } from './ui/index.js';
export {
  type Archived,
  type ArchiveEntry,
  COLLECT_DEFAULTS,
  type Collected,
  type CollectOptions,
  type Copied,
  type CopyOptions,
  collectGarbage,
  copyStore,
  createXorbRebuilder,
  type DamagedObject,
  exportFiles,
  forgetScrub,
  importFiles,
  listStoredFiles,
  type RebuildParts,
  type RemovedFiles,
  type RemoveOptions,
  removeStoredFiles,
  type Scrubbed,
  type ScrubOptions,
  type StoredFile,
  type StoreStats,
  scrubStore,
  storeStats,
} from './upkeep/index.js';
export type { Usage } from './usage-ledger.js';
export type { MountOptions } from './web.js';
