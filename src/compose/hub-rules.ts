import { is, type OptionRule, type OptionRules } from '../options/index.js';
import { CLIENT_RULES, UPLOAD_RULES } from './client-rules.js';
import type * as functions from './hub-functions.js';
import type {
  Hub,
  HubCommitOptions,
  HubFileDownloadOptions,
  HubFolderUploadOptions,
  HubOptions,
  HubRepoOptions,
  HubUploadOptions,
} from './hub-types.js';

/** Which options a hub, its methods, and the functions of `@huggingface/hub` take. */

const {
  endpoint: _,
  token: __,
  dispatcher: ___,
  headers: ____,
  sessionId: _____,
  ...OF_CLIENT
} = CLIENT_RULES;

export const HUB_RULES: OptionRules<HubOptions> = {
  ...OF_CLIENT,
  hubUrl: is.text,
  accessToken: is.either(is.text, is.object),
  transport: is.oneOf(['auto', 'xet', 'http']),
  onWarning: is.callback,
};

const REPO: OptionRules<HubRepoOptions> = {
  repo: is.required(is.either(is.text, is.object)),
  revision: is.text,
  signal: is.signal,
};

const COMMIT: OptionRules<HubCommitOptions> = {
  ...REPO,
  title: is.text,
  description: is.text,
  createPr: is.flag,
  parentCommit: is.text,
};

const UPLOAD: OptionRules<HubUploadOptions> = {
  ...COMMIT,
  deletePaths: is.texts,
  copies: is.object,
  dryRun: is.flag,
  base: UPLOAD_RULES.base,
  rehash: UPLOAD_RULES.rehash,
  maxXorbBytes: UPLOAD_RULES.maxXorbBytes,
  onFile: is.callback,
  onProgress: is.callback,
};

const FOLDER: OptionRules<
  Pick<HubFolderUploadOptions, 'folder' | 'path' | 'include' | 'exclude' | 'deleteRemoved'>
> = {
  folder: is.required(is.text),
  path: is.text,
  include: is.texts,
  exclude: is.texts,
  deleteRemoved: is.flag,
};

const DOWNLOAD: OptionRules<Pick<HubFileDownloadOptions, 'to' | 'onProgress'>> = {
  to: is.required(is.text),
  onProgress: is.callback,
};

const NAMES = is.oneOf(['portable', 'native']);
const SELECTION = {
  ...{ path: is.text, cache: is.flag, include: is.texts, exclude: is.texts },
  ...{ names: NAMES, resume: is.flag, onFile: is.callback },
};
const LISTING = { path: is.text, recursive: is.flag, expand: is.flag };
const PATH = is.required(is.text);

const CREATION = {
  visibility: is.oneOf(['public', 'private', 'protected']),
  sdk: is.text,
  license: is.text,
  resourceGroupId: is.text,
};

/** Options of the method of a hub that has one as its last argument. */
type OptionsOf<K extends keyof Hub> = Extract<
  Parameters<Hub[K]> extends [...unknown[], infer T] ? T : never,
  object
>;

export const METHOD_RULES: {
  readonly [K in Exclude<keyof Hub, 'close'>]: OptionRules<OptionsOf<K>>;
} = {
  uploadFiles: UPLOAD,
  uploadFolder: {
    ...{ ...UPLOAD, ...FOLDER },
    files: is.texts,
    hidden: is.flag,
    symlinks: is.oneOf(['follow', 'skip']),
    names: NAMES,
  },
  downloadFile: { ...REPO, ...DOWNLOAD, path: PATH },
  downloadFolder: { ...REPO, ...DOWNLOAD, ...SELECTION },
  listFiles: { ...REPO, ...LISTING },
  deleteFiles: COMMIT,
  createRepo: {
    ...{ repo: REPO.repo, signal: REPO.signal },
    ...CREATION,
    isPrivate: is.flag,
    existOk: is.flag,
  },
  deleteRepo: { repo: REPO.repo, signal: REPO.signal },
};

type Params<K extends keyof typeof functions> = Parameters<(typeof functions)[K]>[0];

const COMMON: OptionRules<Params<'deleteRepo'>> = {
  repo: REPO.repo,
  accessToken: HUB_RULES.accessToken,
  credentials: is.object,
  hubUrl: is.text,
  fetch: is.callback,
  hub: is.object,
  abortSignal: is.signal,
};

const MESSAGE = { commitTitle: is.text, commitDescription: is.text };
const BRANCH = { branch: is.text, isPullRequest: is.flag, parentCommit: is.text };

/** The last three mean nothing here: threads hash anyway, and an edit finds in the store what it needs. */
const SENDING = {
  useXet: is.flag,
  useWebWorkers: is.any,
  maxFolderDepth: is.any,
  rangeEditCache: is.any,
};

const CHANGE = { ...COMMON, ...MESSAGE, ...BRANCH };

/** An option of that package whose meaning cannot be had here. */
function refused(expected: string, mayBe?: unknown): OptionRule {
  return { expected, hasType: (value) => value === mayBe };
}

export const FUNCTION_RULES: { readonly [K in keyof typeof functions]: OptionRules<Params<K>> } = {
  uploadFiles: { ...CHANGE, ...SENDING, files: is.required(is.object), onProgress: is.callback },
  uploadFile: { ...CHANGE, ...SENDING, file: is.required(is.object), onProgress: is.callback },
  uploadFolder: { ...CHANGE, ...FOLDER, useXet: is.flag, onProgress: is.callback },
  commit: {
    ...{ ...COMMON, ...BRANCH, ...SENDING },
    title: is.required(is.text),
    description: is.text,
    operations: is.required(is.object),
    onProgress: is.callback,
  },
  deleteFile: { ...CHANGE, path: PATH },
  deleteFiles: { ...CHANGE, paths: is.required(is.texts) },
  listFiles: { ...COMMON, ...LISTING, revision: is.text },
  downloadFile: {
    ...COMMON,
    path: PATH,
    revision: is.text,
    xet: is.either(is.flag, is.object),
    parallelDownloads: is.any,
    raw: is.flag,
    downloadInfo: refused('nothing: the Hub is asked about the file here'),
  },
  downloadFolder: { ...COMMON, ...DOWNLOAD, ...SELECTION, revision: is.text },
  createRepo: { ...COMMON, ...CREATION, private: is.flag, files: is.object },
  deleteRepo: COMMON,
};
