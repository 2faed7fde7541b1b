import { api } from './api.js';
import { askLfs, type Entry, resolvePath } from './hub.js';
import { own } from './plain-upload.js';
import type { RepoName } from './route.js';
import { runTask } from './tasks.js';

/**
 * Saves a file. A link cannot carry the token, and nothing of it belongs into an address, so small files are
 * fetched into memory, and for others the gateway is asked for a signed address of this one file, which ends by
 * itself: the browser then writes to the disk what comes, however large it is.
 */
export async function downloadFile(
  repo: RepoName,
  revision: string,
  { path, size, lfs }: Entry,
): Promise<void> {
  const name = path.split('/').at(-1) ?? path;
  await runTask({ kind: 'download', title: path, totalBytes: size }, async (update, signal) => {
    if (lfs === undefined) {
      const response = await api(resolvePath(repo, revision, path), { signal });
      const url = URL.createObjectURL(await response.blob());
      save(url, name);
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
    } else {
      const { actions } = await askLfs(repo, 'download', { oid: lfs.oid, size }, signal);
      if (actions?.download === undefined) throw new Error('The gateway does not have this file.');
      save(own(actions.download.href), name);
    }
    update({ doneBytes: size });
    return 'handed to the browser';
  });
}

function save(url: string, name: string): void {
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
}
