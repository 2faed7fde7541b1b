import { commit, createRepo, deleteRepo, listTree, repoOf } from '../hub/index.js';
import { checkOptions } from '../options/index.js';
import { SYSTEM_CLOCK, systemRandom } from '../platform/index.js';
import { hubDownloadFile, hubDownloadFolder } from './hub-download.js';
import { hubUploadFolder } from './hub-folder-upload.js';
import { createHubParts, type HubParts, repoAt } from './hub-parts.js';
import { HUB_RULES, METHOD_RULES } from './hub-rules.js';
import type { Hub, HubOptions } from './hub-types.js';
import { hubUpload } from './hub-upload.js';

/**
 * A Hub (huggingface.co, or `orbweaver serve`): repositories by name. What it takes besides its own
 * options are those of `createClient`.
 *
 * @throws TypeError for wrong options
 * @example
 * const hub = createHub({ accessToken: process.env.HF_TOKEN });
 * await hub.uploadFolder({ repo: 'datasets/org/name', folder: 'data' });
 * await hub.downloadFolder({ repo: 'org/model', to: 'model' });
 * await hub.close();
 */
export function createHub(options: HubOptions = {}): Hub {
  checkOptions('createHub', options, HUB_RULES);
  const parts: HubParts = createHubParts(options);
  const { http } = parts;
  const checked = <K extends keyof typeof METHOD_RULES, T extends object>(name: K, given: T): T =>
    checkOptions<object>(name, given, METHOD_RULES[name]) as T;
  return {
    uploadFiles: async (files, given) => hubUpload(parts, files, checked('uploadFiles', given)),
    uploadFolder: async (given) => hubUploadFolder(parts, checked('uploadFolder', given)),
    downloadFile: async (given) => hubDownloadFile(parts, checked('downloadFile', given)),
    downloadFolder: async (given) => hubDownloadFolder(parts, checked('downloadFolder', given)),
    async *listFiles(given) {
      const { path, recursive, expand, signal, ...at } = checked('listFiles', given);
      const { repo, revision } = repoAt(at);
      const { signal: open } = new AbortController();
      const listing = { revision, path, recursive, expand, signal: signal ?? open };
      yield* listTree(http, repo, listing);
    },
    async deleteFiles(paths, given) {
      const { title, signal, ...rest } = checked('deleteFiles', given);
      const { description, createPr, parentCommit, ...at } = rest;
      return parts.run(signal, (inner) => {
        const { repo, revision } = repoAt(at);
        const operations = paths.map((path) => ({
          operation: 'delete' as const,
          path: path.replace(/\/+$/, ''),
          isFolder: path.endsWith('/'),
        }));
        const what = paths.length === 1 ? paths[0] : `${paths.length} files`;
        return commit(http, repo, operations, {
          revision,
          title: title ?? `Delete ${what}`,
          ...{ description, createPr, parentCommit },
          ...{ clock: SYSTEM_CLOCK, random: systemRandom, signal: inner },
        });
      });
    },
    async createRepo(given) {
      const { repo, signal, isPrivate, visibility: named, ...rest } = checked('createRepo', given);
      const old = isPrivate === undefined ? undefined : isPrivate ? 'private' : 'public';
      const how = { ...rest, visibility: named ?? old, clock: SYSTEM_CLOCK };
      return parts.run(signal, (inner) =>
        createRepo(http, repoOf(repo), { ...how, signal: inner }),
      );
    },
    async deleteRepo(given) {
      const { repo, signal } = checked('deleteRepo', given);
      return parts.run(signal, (inner) => deleteRepo(http, repoOf(repo), { signal: inner }));
    },
    close: () => parts.close(),
  };
}
