export { createClient } from './client.js';
export type {
  BrowserClient,
  BrowserClientOptions,
  BrowserDownloadOptions,
  BrowserInput,
  BrowserInputData,
  BrowserNamedInput,
  BrowserStreamOptions,
  BrowserUploadOptions,
  DownloadProgress,
  DownloadResult,
  OutputFile,
  OutputFileStream,
  UploadedFile,
  UploadProgress,
  UploadResult,
} from './types.js';
