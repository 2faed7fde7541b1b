import { api, isAbort } from './api.js';
import { openEngine } from './engine.js';
import { askLfs, type Entry, resolvePath } from './hub.js';
import { own } from './plain-upload.js';
import type { RepoName } from './route.js';
import { runTask, type TaskUpdate } from './tasks.js';

/** Not in the types of the DOM yet; Chromium has it over HTTPS and on localhost. */
declare global {
  interface Window {
    showSaveFilePicker?(options: { suggestedName: string }): Promise<FileSystemFileHandle>;
  }
}

/** Below this a place for the file is not asked for: the browser has a folder for downloads. */
const ENGINE_MIN_BYTES = 8 * 1024 * 1024;

/**
 * Saves a file. A link cannot carry the token, and nothing of it belongs into an address. So, by what the browser
 * can do:
 *
 * 1. large files go through the engine into a file that the user names, checked by their hash;
 * 2. else the gateway is asked for a signed address of this one file, which ends by itself, and the browser
 *    writes to the disk what comes, however large it is;
 * 3. small files of commits are fetched into memory.
 */
export async function downloadFile(repo: RepoName, revision: string, entry: Entry): Promise<void> {
  const { path, size, lfs, xetHash } = entry;
  const name = path.split('/').at(-1) ?? path;
  let handle: FileSystemFileHandle | null = null;
  if (
    xetHash !== undefined &&
    size >= ENGINE_MIN_BYTES &&
    window.showSaveFilePicker !== undefined
  ) {
    try {
      handle = await window.showSaveFilePicker({ suggestedName: name });
    } catch (error) {
      // Closed without a choice, or not allowed in this frame.
      if (isAbort(error)) return;
    }
  }
  await runTask({ kind: 'download', title: path, totalBytes: size }, async (update, signal) => {
    if (handle !== null && xetHash !== undefined) {
      const done = await throughEngine(xetHash, handle, { update, signal });
      if (done) return `saved as ${handle.name} and checked`;
    }
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

/** False: the engine does not run here, or cannot reach where the chunks are. */
async function throughEngine(
  fileHash: string,
  to: FileSystemFileHandle,
  { update, signal }: { update: (change: TaskUpdate) => void; signal: AbortSignal },
): Promise<boolean> {
  const engine = await openEngine();
  if (engine === null) return false;
  let written = 0;
  try {
    update({ step: 'fetching' });
    await engine.download(fileHash, {
      ...{ to, signal },
      onProgress: ({ writtenBytes }) => {
        written = writtenBytes;
        update({ doneBytes: writtenBytes });
      },
    });
    return true;
  } catch (error) {
    // A bucket behind the gateway that this page may not talk to shows at once.
    if (signal.aborted || written > 0) throw error;
    return false;
  } finally {
    await engine.close();
  }
}

function save(url: string, name: string): void {
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
}
