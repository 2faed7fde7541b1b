/** Entry point `orbweaver/gateway`: the storage server, ready to run or to embed. */

export {
  type RunningGateway,
  type StartGatewayOptions,
  startGateway,
} from './compose/gateway.js';
export { createMirror, type Mirror, type UpstreamOptions } from './compose/mirror.js';
export {
  type OpenStoreOptions,
  openStore,
  placeSecrets,
  placeTokenKeys,
} from './compose/open-store.js';
export type { ComputeOptions } from './compose/options.js';
export { exportToArchive, importFromArchive } from './compose/store-archive.js';
export {
  createStoreRepair,
  type RepairUpstream,
  type StoreRepair,
} from './compose/store-repair.js';
export type { TlsFiles } from './compose/tls-files.js';
export { readUiPage } from './compose/ui-page.js';
export * from './gateway/index.js';
