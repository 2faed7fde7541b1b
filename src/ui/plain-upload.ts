import { createSHA256 } from 'hash-wasm';
import { BASE } from './api.js';
import { askLfs } from './hub.js';
import type { RepoName } from './route.js';

/**
 * Sends a file whole, as Git LFS does: for browsers in which the engine does not run. The gateway cuts and
 * deduplicates it; the price is that all its bytes go over the network, and that it is read twice.
 *
 * @returns its SHA-256
 */
export async function uploadWhole(
  repo: RepoName,
  file: File,
  { signal, onBytes }: { readonly signal: AbortSignal; readonly onBytes: (bytes: number) => void },
): Promise<string> {
  const oid = await sha256Of(file, signal);
  const { actions } = await askLfs(repo, 'upload', { oid, size: file.size }, signal);
  // Nothing to do: the gateway has it.
  if (actions?.upload !== undefined) await put(own(actions.upload.href), file, signal, onBytes);
  onBytes(file.size);
  return oid;
}

async function sha256Of(file: File, signal: AbortSignal): Promise<string> {
  const hash = await createSHA256();
  const reader = file.stream().getReader();
  for (;;) {
    signal.throwIfAborted();
    const { done, value } = await reader.read();
    if (done) return hash.digest('hex');
    hash.update(value);
  }
}

/** A signed address of the gateway as this page reaches it. */
export function own(href: string): string {
  const { pathname, search } = new URL(href);
  return new URL(pathname.slice(pathname.indexOf('/lfs-objects/') + 1) + search, BASE).href;
}

/** By XMLHttpRequest, which alone tells how much was sent. */
function put(
  url: string,
  file: File,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    const abort = (): void => request.abort();
    signal.addEventListener('abort', abort);
    request.upload.onprogress = ({ loaded }) => onBytes(loaded);
    request.onloadend = () => {
      signal.removeEventListener('abort', abort);
      if (request.status >= 200 && request.status < 300) resolve();
      else if (signal.aborted) reject(signal.reason);
      else if (request.status === 0) reject(new Error('The connection broke off.'));
      else reject(new Error(`The gateway refused the file (${request.status}).`));
    };
    request.open('PUT', url);
    request.send(file);
  });
}
