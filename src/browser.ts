/** Entry point `orbweaver/browser`: the client in a page. */

export {
  type BrowserClient,
  type BrowserClientOptions,
  type BrowserDownloadOptions,
  type BrowserEditOptions,
  type BrowserInput,
  type BrowserInputData,
  type BrowserNamedInput,
  type BrowserSplice,
  type BrowserStreamOptions,
  type BrowserUploadOptions,
  createClient,
  type DownloadProgress,
  type DownloadResult,
  type EditResult,
  type OpenOptions,
  type OutputFile,
  type OutputFileStream,
  type RemoteFile,
  type UploadedFile,
  type UploadProgress,
  type UploadResult,
} from './browser/index.js';
export { createLimits, type TransferLimits } from './compose/limits.js';
export { isOrbweaverError, OrbweaverError } from './errors.js';
