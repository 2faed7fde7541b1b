import { basename, dirname, resolve } from 'node:path';
import { hubAddressText } from '../hub/index.js';
import { isPath, pathOf } from '../io/index.js';
import { type HubParts, repoAt } from './hub-parts.js';
import type {
  HubFile,
  HubFileDownloadOptions,
  HubFolderDownloadOptions,
  HubFolderUploadOptions,
  HubRepoOptions,
  HubUploadOptions,
} from './hub-types.js';
import { isNamed } from './input.js';
import { type HubPlace, pathList, type TransferCommand } from './transfer-command.js';

/**
 * The command lines that do what a method of a hub does. What is unfinished is gone on with by them, because
 * an upload to the store alone commits nothing, and has no token.
 */

export type HubUploadCommand = Omit<TransferCommand, 'part'>;

/** `upload FOLDER hf://…` */
export function folderCommand(parts: HubParts, options: HubFolderUploadOptions): HubUploadCommand {
  const { folder, path = '', include, exclude, files, hidden, symlinks, names } = options;
  return {
    paths: [resolve(folder)],
    list: files === undefined ? null : pathList(files),
    options: [
      ...patterns({ include, exclude }),
      ...(hidden === false ? ['--no-hidden'] : []),
      ...(symlinks === undefined ? [] : [`--symlinks=${symlinks}`]),
      ...(names === undefined ? [] : [`--names=${names}`]),
      ...(options.deleteRemoved === true ? ['--delete-removed'] : []),
      ...changeOptions(parts, options),
    ],
    hub: placeOf(parts, options, isSayable(options) ? path.replace(/\/+$/, '') : null),
  };
}

/** `upload PATH… hf://…` */
export function filesCommand(
  parts: HubParts,
  files: readonly HubFile[],
  options: HubUploadOptions,
): HubUploadCommand {
  const paths = files.map(({ content }) =>
    isNamed(content) || !isPath(content) ? null : resolve(pathOf(content)),
  );
  const [first] = files;
  const folder = dirname(first?.path ?? '').replace(/^\.$/, '');
  const below = folder === '' ? '' : `${folder}/`;
  const isTogether =
    files.length === 1 || files.every(({ path }, i) => path === below + basename(paths[i] ?? ''));
  const path = files.length === 1 ? (first?.path ?? '') : folder;
  const says = isTogether && !paths.includes(null) && isSayable(options);
  return {
    paths: files.map((file, i) => paths[i] ?? file.path),
    list: null,
    options: changeOptions(parts, options),
    hub: placeOf(parts, options, says ? path : null),
  };
}

/** `download hf://… -o DIR` */
export function folderDownloadCommand(
  parts: HubParts,
  options: HubFolderDownloadOptions,
): TransferCommand {
  const { path = '', names, cache = false, to } = options;
  return downloadCommand(
    [
      ...(cache ? ['--hf-cache'] : [`--output=${resolve(to)}`]),
      ...patterns(options),
      ...(names === undefined ? [] : [`--names=${names}`]),
      ...transportOf(parts),
    ],
    { ...placeOf(parts, options, path), ...(cache ? { cache: resolve(to) } : {}) },
  );
}

/** The same for one file, which keeps its name. */
export function fileDownloadCommand(
  parts: HubParts,
  options: HubFileDownloadOptions,
): TransferCommand {
  const { path, to } = options;
  const says = basename(to) === basename(path);
  return downloadCommand(
    [`--output=${dirname(resolve(to))}`, ...transportOf(parts)],
    placeOf(parts, options, says ? path : null),
  );
}

function downloadCommand(options: readonly string[], hub: HubPlace): TransferCommand {
  return { paths: [], list: null, options, part: 0, hub };
}

function placeOf(parts: HubParts, options: HubRepoOptions, path: string | null): HubPlace {
  const { repo, revision } = repoAt(options);
  const url = parts.http.url.href.replace(/\/+$/, '');
  // The oldest models have no namespace, which an address has.
  if (path === null || !repo.name.includes('/')) return { url, address: null };
  const named = options.revision === undefined || repo.type === 'bucket' ? null : revision;
  return { url, address: hubAddressText({ repo, revision: named, path }) };
}

/** False where a program has asked for what the command line has no option for. */
function isSayable(options: HubUploadOptions): boolean {
  const { description, parentCommit, deletePaths = [], copies = [] } = options;
  return (description ?? parentCommit) === undefined && deletePaths.length + copies.length === 0;
}

function changeOptions({ options }: HubParts, { title, createPr }: HubUploadOptions): string[] {
  const { placement = 'balanced' } = options;
  return [
    ...(title === undefined ? [] : [`--message=${title}`]),
    ...(createPr === true ? ['--pr'] : []),
    ...(placement === 'balanced' ? [] : [`--placement=${placement}`]),
  ];
}

function patterns({
  include = [],
  exclude = [],
}: Pick<HubFolderDownloadOptions, 'include' | 'exclude'>): string[] {
  return [
    ...include.map((pattern) => `--include=${pattern}`),
    ...exclude.map((pattern) => `--exclude=${pattern}`),
  ];
}

function transportOf({ options: { transport = 'auto' } }: HubParts): string[] {
  return transport === 'auto' ? [] : [`--transport=${transport}`];
}
