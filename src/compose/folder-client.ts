import { type FolderChange, type FolderEntry, SNIFF_BYTES } from '../folder/index.js';
import { MerkleHash } from '../hash/index.js';
import { checkOptions, is, type OptionRules } from '../options/index.js';
import type { DownloadParts } from './download.js';
import type {
  FolderDownloadOptions,
  FolderDownloadResult,
  FolderListOptions,
  FolderPlan,
  FolderPlanOptions,
  FolderReads,
  FolderUploadOptions,
  FolderUploadResult,
} from './folder-types.js';
import { DIFF_FOLDERS_RULES, LIST_FOLDER_RULES, NAMES, SEND_RULES } from './shared-rules.js';
import type { UploadParts } from './upload.js';

/** What a client does with folders. */
export interface FolderMethods extends FolderReads {
  /**
   * Uploads what folders hold, and a manifest that lists it, itself a stored file. One folder gives the
   * paths below it, several each below its own name. A file that fails is in `failed`, the others go on and
   * the manifest lists them.
   *
   * @param folders paths of folders, files, or globs; none with `files`: the current folder
   * @throws OrbweaverError what `upload` throws; `INPUT_NOT_FOUND` for a folder that is not there, `USAGE`
   * for two of one name
   */
  uploadFolder(
    folders: string | readonly string[],
    options?: FolderUploadOptions,
  ): Promise<FolderUploadResult>;
  /**
   * Restores what a manifest lists: files, folders, links, their rights and times. Everything in the manifest
   * is checked before anything is written. A file that fails is in `failed`, the others go on.
   *
   * @throws OrbweaverError `FORMAT_INVALID` when the file is no manifest, `UNSAFE_PATH` when a name or link
   * leads out of the folder, what `download` throws when it concerns all files
   */
  downloadFolder(
    manifestHash: string,
    options: FolderDownloadOptions,
  ): Promise<FolderDownloadResult>;
  /**
   * Says what `downloadFolder` would restore, keep and fetch, and from where, and changes nothing: the manifest
   * comes and is checked, what is there is read, and the store is asked where the rest is.
   *
   * @throws OrbweaverError what `downloadFolder` throws before it writes
   */
  planFolder(manifestHash: string, options?: FolderPlanOptions): Promise<FolderPlan>;
}

const UPLOAD_RULES: OptionRules<FolderUploadOptions> = {
  ...SEND_RULES,
  exclude: is.texts,
  files: is.texts,
  hidden: is.flag,
  symlinks: is.oneOf(['keep', 'follow', 'skip']),
  names: NAMES,
  rehash: is.flag,
};

const DOWNLOAD_RULES: OptionRules<FolderDownloadOptions> = {
  to: is.required(is.text),
  existing: is.oneOf(['replace', 'keep']),
  seeds: is.texts,
  resume: is.flag,
  names: NAMES,
  signal: is.signal,
  onProgress: is.callback,
};

const PLAN_RULES: OptionRules<FolderPlanOptions> = { ...DOWNLOAD_RULES, to: is.text };

/** Parts of the client, asked for at each call: a closed client has none. */
export interface FolderParts {
  readonly uploads: (options: { readonly dryRun: boolean }) => UploadParts;
  readonly downloads: () => DownloadParts;
}

/** The methods of a client; the code of each is loaded when it is first called. */
export function folderMethods({ uploads, downloads }: FolderParts): FolderMethods {
  const list = (
    hash: string,
    { names = 'native', signal }: FolderListOptions,
  ): AsyncGenerator<FolderEntry, void> => {
    MerkleHash.parse(hash);
    return listOf(downloads(), { hash, names, signal });
  };
  return {
    async uploadFolder(folders, options = {}) {
      checkOptions('uploadFolder', options, UPLOAD_RULES);
      const inputs = typeof folders === 'string' ? [folders] : folders;
      if (!inputs.every((each) => typeof each === 'string')) {
        throw new TypeError('"folders" expected a path, or a list of paths');
      }
      const parts = uploads({ dryRun: options.dryRun === true });
      const { runFolderUpload } = await import('./folder-upload.js');
      return runFolderUpload(parts, inputs, options);
    },
    async downloadFolder(manifestHash, options) {
      checkOptions('downloadFolder', options, DOWNLOAD_RULES);
      MerkleHash.parse(manifestHash);
      const parts = downloads();
      const { runFolderDownload } = await import('./folder-download.js');
      return runFolderDownload(parts, manifestHash, options);
    },
    async planFolder(manifestHash, options = {}) {
      checkOptions('planFolder', options, PLAN_RULES);
      MerkleHash.parse(manifestHash);
      const parts = downloads();
      const { runFolderPlan } = await import('./folder-plan.js');
      return runFolderPlan(parts, manifestHash, options);
    },
    listFolder(manifestHash, options = {}) {
      checkOptions('listFolder', options, LIST_FOLDER_RULES);
      return list(manifestHash, options);
    },
    diffFolders(before, after, options = {}) {
      checkOptions('diffFolders', options, DIFF_FOLDERS_RULES);
      const { times, ...rest } = options;
      return diffOf(list(before, rest), list(after, rest), times);
    },
    async isFolder(fileHash, { signal } = {}) {
      MerkleHash.parse(fileHash);
      const parts = downloads();
      const [{ startsAsManifest }, { runDownload }] = await Promise.all([
        import('./folder-manifest.js'),
        import('./download.js'),
      ]);
      const range = { offset: 0, length: SNIFF_BYTES, signal };
      return startsAsManifest((sink) => runDownload(parts, fileHash, sink, range));
    },
  };
}

async function* listOf(
  parts: DownloadParts,
  request: {
    readonly hash: string;
    readonly names: 'portable' | 'native';
    readonly signal: AbortSignal | undefined;
  },
): AsyncGenerator<FolderEntry, void> {
  const { listEntries } = await import('./folder-list.js');
  yield* listEntries(parts, request);
}

async function* diffOf(
  before: AsyncGenerator<FolderEntry, void>,
  after: AsyncGenerator<FolderEntry, void>,
  times: boolean | undefined,
): AsyncGenerator<FolderChange, void> {
  const { diffEntries } = await import('../folder/index.js');
  yield* diffEntries(before, after, { times });
}
