/** Servers of the other upload systems for tests, and for people who integrate. */
export type { CascadeFaults } from './cascade/faults.js';
export type { CascadeBurn, CascadeCounts, CascadeFile } from './cascade/model.js';
export {
  type CascadeServer,
  type CascadeServerOptions,
  startCascadeServer,
} from './cascade/server.js';
export { createFaults, type Faults, type PlannedFault } from './faults.js';
export { type FormPart, parseForm } from './form.js';
export { type ListeningServer, type ListenOptions, listen } from './listen.js';
export type { CidProfile, MetadataCounts } from './metadata/api.js';
export type { MetadataFaults } from './metadata/faults.js';
export {
  type MetadataServer,
  type MetadataServerOptions,
  startMetadataServer,
} from './metadata/server.js';
export { createMultipartServer } from './multipart/server.js';
export type {
  Generation,
  MultipartFault,
  MultipartRoute,
  MultipartServer,
  MultipartServerOptions,
  StoredFile,
} from './multipart/types.js';
