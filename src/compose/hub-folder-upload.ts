import { stat } from 'node:fs/promises';
import { isOrbweaverError, OrbweaverError } from '../errors.js';
import { checkRepoPath, listTree } from '../hub/index.js';
import { pathFilter, walkFolder } from '../io/index.js';
import type { FailedUpload } from './client-types.js';
import { failedFile } from './failed-file.js';
import { walkTreeOf } from './folder-inputs.js';
import type { SkippedEntry } from './folder-types.js';
import { folderCommand } from './hub-command.js';
import { type HubParts, repoAt } from './hub-parts.js';
import type { HubFile, HubFolderUploadOptions, HubUploadResult } from './hub-types.js';
import { uploadAs } from './hub-upload.js';

/** Uploads what a folder holds. */
export async function hubUploadFolder(
  parts: HubParts,
  options: HubFolderUploadOptions,
): Promise<HubUploadResult> {
  const { folder, path = '', include = [], exclude = [], deleteRemoved = false, ...more } = options;
  const { files: only, hidden = true, symlinks = 'follow', names = 'native', ...rest } = more;
  const prefix = path === '' ? '' : `${checkRepoPath(path.replace(/\/+$/, ''))}/`;
  const stats = await stat(folder).catch(() => null);
  if (stats === null || !stats.isDirectory()) {
    throw new OrbweaverError('INPUT_NOT_FOUND', `"${folder}" expected a folder, got none`, {
      path: folder,
    });
  }
  const isIncluded = include.length === 0 ? () => true : pathFilter(include);
  const isExcluded = pathFilter(exclude);
  const files: HubFile[] = [];
  const failed: FailedUpload[] = [];
  const skipped: SkippedEntry[] = [];
  const walk = walkFolder(
    only === undefined
      ? { source: folder, only: null, include: null }
      : await walkTreeOf([folder], { files: only, hidden }),
    {
      ...{ names, symlinks, hidden },
      // What Git and the Python client keep of their own.
      isExcluded: (found, isFolder) =>
        found === '.git' || found === '.cache/huggingface' || isExcluded(found, isFolder),
      signal: options.signal,
    },
  );
  for await (const some of walk) {
    for (const found of some) {
      if (found.type === 'file' && 'source' in found && isIncluded(found.path, false)) {
        const { source: content, mtimeMs } = found;
        files.push({ path: prefix + found.path, content, mtimeMs });
      } else if (found.type === 'problem') failed.push(failedFile(found.path, found.error));
      else if (found.type === 'skipped') skipped.push({ path: found.path, reason: found.reason });
    }
  }
  const gone = deleteRemoved ? await removedPaths(parts, options, prefix, files) : [];
  const deletePaths = [...(rest.deletePaths ?? []), ...gone];
  const command = folderCommand(parts, options);
  const result = await uploadAs(parts, files, { ...rest, deletePaths }, command);
  return {
    ...result,
    failed: [...failed, ...result.failed],
    skipped: [...skipped, ...result.skipped],
  };
}

/** What the repository has below a path and the folder has not. */
async function removedPaths(
  parts: HubParts,
  options: HubFolderUploadOptions,
  prefix: string,
  files: readonly HubFile[],
): Promise<string[]> {
  const { repo, revision } = repoAt(options);
  const there = new Set(files.map(({ path }) => path));
  return parts.run(options.signal, async (signal) => {
    const gone: string[] = [];
    const listing = { revision, path: prefix.replace(/\/$/, ''), recursive: true, signal };
    try {
      for await (const { type, path } of listTree(parts.http, repo, listing)) {
        if (type === 'file' && !there.has(path) && path !== '.gitattributes') gone.push(path);
      }
    } catch (error) {
      // Nothing is there yet.
      if (!isOrbweaverError(error) || error.code !== 'NOT_FOUND') throw error;
    }
    return gone;
  });
}
