/** Cascade: whole files, registered volume by volume on a block chain. */
export {
  type CascadeDownload,
  type CascadeDownloadProgress,
  type CascadeDownloadResult,
  type CascadeReadOptions,
  downloadCascade,
} from './download.js';
export type { BurnPayment, CascadeOptions } from './options.js';
export { type RestoreOptions, type RestoreResult, restoreCascade } from './restore.js';
export { createCascadeTarget } from './target.js';
export { type OpenSocket, openUndiciSocket } from './task-sockets.js';
