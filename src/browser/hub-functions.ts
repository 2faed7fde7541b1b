import { checkOptions, is, type OptionRules } from '../options/index.js';
import type { HubFunctions } from './hub-types.js';

/** The functions of a Hub in a page; their code is loaded when one is first called. */

type Params<K extends keyof HubFunctions> = Parameters<HubFunctions[K]>[0];

const COMMON = {
  repo: is.required(is.either(is.text, is.object)),
  abortSignal: is.signal,
  accessToken: is.either(is.text, is.object),
  credentials: is.object,
  hubUrl: is.text,
  fetch: is.callback,
  client: is.object,
};

const CHANGE = {
  ...COMMON,
  commitTitle: is.text,
  commitDescription: is.text,
  branch: is.text,
  isPullRequest: is.flag,
  parentCommit: is.text,
  onProgress: is.callback,
};

const { commitTitle: _, commitDescription: __, ...UNTITLED } = CHANGE;

const RULES: { readonly [K in keyof HubFunctions]: OptionRules<Params<K>> } = {
  uploadFiles: { ...CHANGE, files: is.required(is.object) },
  uploadFile: { ...CHANGE, file: is.required(is.object) },
  commit: {
    ...UNTITLED,
    title: is.required(is.text),
    description: is.text,
    operations: is.required(is.object),
  },
  deleteFiles: { ...CHANGE, paths: is.required(is.texts) },
  deleteFile: { ...CHANGE, path: is.required(is.text) },
  listFiles: { ...COMMON, revision: is.text, path: is.text, recursive: is.flag, expand: is.flag },
  downloadFile: { ...COMMON, path: is.required(is.text), revision: is.text },
  createRepo: {
    ...COMMON,
    visibility: is.oneOf(['public', 'private', 'protected']),
    private: is.flag,
    files: is.object,
  },
  deleteRepo: COMMON,
};

const load = (): Promise<typeof import('./hub.js')> => import('./hub.js');

export const uploadFiles: HubFunctions['uploadFiles'] = async (params) => {
  checkOptions('uploadFiles', params, RULES.uploadFiles);
  return (await load()).uploadFiles(params);
};

export const uploadFile: HubFunctions['uploadFile'] = async (params) => {
  checkOptions('uploadFile', params, RULES.uploadFile);
  const { file, ...rest } = params;
  return (await load()).uploadFiles({ ...rest, files: [file] });
};

export const commit: HubFunctions['commit'] = async (params) => {
  checkOptions('commit', params, RULES.commit);
  return (await load()).commitOperations(params);
};

export const deleteFiles: HubFunctions['deleteFiles'] = async (params) => {
  checkOptions('deleteFiles', params, RULES.deleteFiles);
  return (await load()).deleteFiles(params);
};

export const deleteFile: HubFunctions['deleteFile'] = async (params) => {
  checkOptions('deleteFile', params, RULES.deleteFile);
  const { path, ...rest } = params;
  return (await load()).deleteFiles({ ...rest, paths: [path] });
};

export const listFiles: HubFunctions['listFiles'] = (params) => {
  checkOptions('listFiles', params, RULES.listFiles);
  return listed(params);
};

async function* listed(params: Params<'listFiles'>): ReturnType<HubFunctions['listFiles']> {
  yield* (await load()).listFiles(params);
}

export const downloadFile: HubFunctions['downloadFile'] = async (params) => {
  checkOptions('downloadFile', params, RULES.downloadFile);
  return (await load()).downloadFile(params);
};

export const createRepo: HubFunctions['createRepo'] = async (params) => {
  checkOptions('createRepo', params, RULES.createRepo);
  return (await load()).makeRepo(params);
};

export const deleteRepo: HubFunctions['deleteRepo'] = async (params) => {
  checkOptions('deleteRepo', params, RULES.deleteRepo);
  return (await load()).removeRepo(params);
};
