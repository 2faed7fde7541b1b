/**
 * The storage side of the protocol: a handler from Request to Response over a small object store.
 * `gateway.ts` wires it, one `route-*.ts` file per group of endpoints, and what decides without
 * touching anything (ranges, conditions, statuses, signatures) is pure functions.
 */
export { createGateway, type GatewayParts } from './gateway.js';
export {
  createNodeServer,
  DEFAULT_PORT,
  type NodeHandler,
  type NodeServer,
  type NodeServerOptions,
} from './node-server.js';
export { GATEWAY_DEFAULTS } from './options.js';
export { createRandomBytes, createSystemClock, createThreadVerifier } from './platform.js';
export type {
  Clock,
  Gateway,
  GatewayAnswer,
  GatewayFault,
  GatewayOptions,
  GatewayRequest,
  GatewayToken,
  ObjectBody,
  ObjectEntry,
  ObjectInfo,
  ObjectRange,
  ObjectStore,
  PulledBody,
  RandomBytes,
  TokenScope,
  VerifiedXorb,
  XorbReceiver,
  XorbVerifier,
} from './ports.js';
export {
  createDiskStore,
  createMemoryStore,
  type DiskStoreOptions,
  isObjectKey,
} from './stores/index.js';
export { createToken } from './tokens.js';
