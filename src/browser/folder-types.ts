import type {
  ClientDownloadOptions,
  DownloadResult,
  ZipEntryRequest,
} from '../compose/client-types.js';
import type {
  FolderDiffOptions,
  FolderDownloadOptions,
  FolderDownloadResult,
  FolderListOptions,
  FolderReads,
  FolderUploadOptions,
  FolderUploadResult,
} from '../compose/folder-types.js';
import type { FolderChange, FolderEntry } from '../folder/index.js';
import type { OutputFile } from './types.js';

export type {
  FolderChange,
  FolderDiffOptions,
  FolderDownloadResult,
  FolderEntry,
  FolderListOptions,
  FolderUploadResult,
  ZipEntryRequest,
};

/** The part of a `FileSystemDirectoryHandle` that is used. */
export interface FolderHandle {
  readonly kind: 'directory';
  readonly name: string;
  values(): AsyncIterable<FolderHandle | FileHandle>;
  getFileHandle(name: string, options?: { create?: boolean }): Promise<FileHandle>;
  getDirectoryHandle(name: string, options?: { create?: boolean }): Promise<FolderHandle>;
}

/** The part of a `FileSystemFileHandle` that is used. */
export interface FileHandle extends OutputFile {
  readonly kind: 'file';
  getFile(): Promise<Blob>;
}

/** A file and its path in the folder. */
export interface BrowserFolderFile {
  readonly path: string;
  readonly data: Blob;
}

/**
 * A folder that a page can have: a `FileSystemDirectoryHandle`; the files of `<input webkitdirectory>`, of which
 * one folder gives the paths below it; or any files with paths.
 */
export type BrowserFolder = FolderHandle | Iterable<File | BrowserFolderFile>;

/** Options of an upload of a folder, as in Node. */
export interface BrowserFolderUploadOptions
  extends Omit<FolderUploadOptions, 'exclude' | 'files' | 'symlinks' | 'rehash'> {
  /** False: it is left out, a folder with all that is in it. @default everything is taken */
  readonly filter?: ((path: string, isFolder: boolean) => boolean) | undefined;
}

/** Options of a download of a folder, as in Node. */
export interface BrowserFolderDownloadOptions extends Omit<FolderDownloadOptions, 'to' | 'seeds'> {
  /** A folder of the page's own storage, or of the user. */
  readonly to: FolderHandle;
}

/** Options of a download of an archive, as in Node. */
export interface BrowserZipOptions extends Pick<ClientDownloadOptions, 'signal' | 'onProgress'> {
  /** As of a download. */
  readonly to: OutputFile | WritableStream<Uint8Array>;
}

/** What a client in a page does with folders and archives, as in Node. */
export interface BrowserFolderMethods extends FolderReads {
  /** As in Node. @throws OrbweaverError, TypeError */
  uploadFolder(
    folder: BrowserFolder,
    options?: BrowserFolderUploadOptions,
  ): Promise<FolderUploadResult>;
  /**
   * As in Node. A page can give files neither rights nor times, and makes no links: those are in `failed`.
   * @throws OrbweaverError, TypeError
   */
  downloadFolder(
    manifestHash: string,
    options: BrowserFolderDownloadOptions,
  ): Promise<FolderDownloadResult>;
  /** Streams several files into one ZIP archive as they are rebuilt. @throws OrbweaverError */
  downloadZip(
    entries: readonly ZipEntryRequest[],
    options: BrowserZipOptions,
  ): Promise<DownloadResult>;
}
