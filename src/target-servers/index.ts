/** Servers of other upload systems, honest ones, for tests and for people who integrate. */
export type { CascadeFaults } from './cascade-faults.js';
export type { CascadeBurn, CascadeCounts, CascadeFile } from './cascade-model.js';
export {
  type CascadeServer,
  type CascadeServerOptions,
  startCascadeServer,
} from './cascade-server.js';
export type { CidProfile, MetadataCounts } from './metadata-api.js';
export type { MetadataFaults } from './metadata-faults.js';
export {
  type MetadataServer,
  type MetadataServerOptions,
  startMetadataServer,
} from './metadata-server.js';
