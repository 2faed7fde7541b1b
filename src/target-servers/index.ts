/** Servers of the other upload systems for tests, and for people who integrate. */
export { createFaults, type Faults, type PlannedFault } from './faults.js';
export { type FormPart, parseForm } from './form.js';
export { type ListeningServer, type ListenOptions, listen } from './listen.js';
export { createMultipartServer } from './multipart/server.js';
export type {
  Generation,
  MultipartFault,
  MultipartRoute,
  MultipartServer,
  MultipartServerOptions,
  StoredFile,
} from './multipart/types.js';
