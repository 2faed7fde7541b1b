import { commit, createRepo, deleteRepo, listTree, repoOf } from '../hub/index.js';
import { checkOptions, is, type OptionRules } from '../options/index.js';
import { SYSTEM_CLOCK, systemRandom } from '../platform/index.js';
import { hubDownloadFile, hubDownloadFolder } from './hub-download.js';
import { createHubParts, type HubParts, repoAt } from './hub-parts.js';
import type { Hub, HubOptions } from './hub-types.js';
import { hubUpload, hubUploadFolder } from './hub-upload.js';

const HUB_RULES: OptionRules<
  Pick<HubOptions, 'hubUrl' | 'accessToken' | 'transport' | 'exchange' | 'onWarning'>
> = {
  hubUrl: is.text,
  accessToken: is.either(is.text, is.object),
  transport: is.oneOf(['auto', 'xet', 'http']),
  exchange: is.callback,
  onWarning: is.callback,
};

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
  const { hubUrl, accessToken, transport, exchange, onWarning } = options;
  checkOptions('createHub', { hubUrl, accessToken, transport, exchange, onWarning }, HUB_RULES);
  const parts: HubParts = createHubParts(options);
  const { http } = parts;
  return {
    uploadFiles: (files, uploadOptions) => hubUpload(parts, files, uploadOptions),
    uploadFolder: (uploadOptions) => hubUploadFolder(parts, uploadOptions),
    downloadFile: (downloadOptions) => hubDownloadFile(parts, downloadOptions),
    downloadFolder: (downloadOptions) => hubDownloadFolder(parts, downloadOptions),
    async *listFiles({ path, recursive, expand, signal, ...at }) {
      const { repo, revision } = repoAt(at);
      const { signal: open } = new AbortController();
      const listing = { revision, path, recursive, expand, signal: signal ?? open };
      yield* listTree(http, repo, listing);
    },
    deleteFiles: (paths, { title, description, createPr, parentCommit, signal, ...at }) =>
      parts.run(signal, (inner) => {
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
      }),
    createRepo: ({ repo, signal, ...rest }) =>
      parts.run(signal, (inner) => createRepo(http, repoOf(repo), { ...rest, signal: inner })),
    deleteRepo: ({ repo, signal }) =>
      parts.run(signal, (inner) => deleteRepo(http, repoOf(repo), { signal: inner })),
    close: () => parts.close(),
  };
}
