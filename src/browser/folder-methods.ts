import {
  DIFF_FOLDERS_RULES,
  LIST_FOLDER_RULES,
  NAMES,
  SEND_RULES,
} from '../compose/shared-rules.js';
import type { FolderEntry } from '../folder/index.js';
import { MerkleHash } from '../hash/index.js';
import { checkOptions, is, type OptionRules } from '../options/index.js';
import type {
  BrowserFolder,
  BrowserFolderDownloadOptions,
  BrowserFolderMethods,
  BrowserFolderUploadOptions,
  BrowserZipOptions,
  FolderChange,
  FolderDiffOptions,
  FolderListOptions,
} from './folder-types.js';
import type { FolderWork } from './folders.js';
import type { PageUploadParts } from './upload.js';

const UPLOAD_RULES: OptionRules<BrowserFolderUploadOptions> = {
  ...SEND_RULES,
  filter: is.callback,
  hidden: is.flag,
  names: NAMES,
};

const DOWNLOAD_RULES: OptionRules<BrowserFolderDownloadOptions> = {
  to: is.required(is.object),
  existing: is.oneOf(['replace', 'keep']),
  resume: is.flag,
  names: NAMES,
  signal: is.signal,
  onProgress: is.callback,
};

const ZIP_RULES: OptionRules<BrowserZipOptions> = {
  to: is.required(is.object),
  signal: is.signal,
  onProgress: is.callback,
};

/** Parts of the client, asked for at each call: a closed client has none. */
export interface FolderMethodParts {
  readonly uploads: (isDryRun: boolean) => PageUploadParts;
  readonly work: () => Omit<FolderWork, 'uploads'>;
}

/** The methods of a client; their code is loaded when one is first called. */
export function pageFolderMethods({ uploads, work }: FolderMethodParts): BrowserFolderMethods {
  return {
    async uploadFolder(folder, options = {}) {
      checkOptions('uploadFolder', options, UPLOAD_RULES);
      checkFolder(folder);
      const parts = uploads(options.dryRun === true);
      const { uploadFolder } = await import('./folders.js');
      return uploadFolder({ uploads: parts }, folder, options);
    },
    async downloadFolder(manifestHash, options) {
      checkOptions('downloadFolder', options, DOWNLOAD_RULES);
      MerkleHash.parse(manifestHash);
      const parts = work();
      const { downloadFolder } = await import('./folders.js');
      return downloadFolder(parts, manifestHash, options);
    },
    listFolder(manifestHash, options = {}) {
      checkOptions('listFolder', options, LIST_FOLDER_RULES);
      MerkleHash.parse(manifestHash);
      return listed(work(), manifestHash, options);
    },
    diffFolders(before, after, options = {}) {
      checkOptions('diffFolders', options, DIFF_FOLDERS_RULES);
      MerkleHash.parse(before);
      MerkleHash.parse(after);
      return differing(work(), [before, after], options);
    },
    async isFolder(fileHash, { signal } = {}) {
      MerkleHash.parse(fileHash);
      const parts = work();
      const { isFolder } = await import('./folders.js');
      return isFolder(parts, fileHash, signal);
    },
    async downloadZip(entries, options) {
      checkOptions('downloadZip', options, ZIP_RULES);
      const parts = work();
      const { downloadZip } = await import('./folders.js');
      return downloadZip(parts, entries, options);
    },
  };
}

function checkFolder(folder: BrowserFolder): void {
  const isFolder = typeof folder === 'object' && folder !== null;
  if (isFolder && ('getDirectoryHandle' in folder || Symbol.iterator in folder)) return;
  throw new TypeError('"folder" expected a FileSystemDirectoryHandle or a list of files');
}

async function* listed(
  parts: Pick<FolderWork, 'stream'>,
  manifestHash: string,
  options: FolderListOptions,
): AsyncGenerator<FolderEntry, void> {
  const { listFolder } = await import('./folders.js');
  yield* listFolder(parts, manifestHash, options);
}

async function* differing(
  parts: Pick<FolderWork, 'stream'>,
  folders: readonly [string, string],
  options: FolderDiffOptions,
): AsyncGenerator<FolderChange, void> {
  const { diffFolders } = await import('./folders.js');
  yield* diffFolders(parts, folders, options);
}
