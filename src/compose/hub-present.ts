import { createHash } from 'node:crypto';
import { lstat, open } from 'node:fs/promises';
import { throwIfAborted } from '../flow/index.js';
import type { HubFileInfo } from '../hub/index.js';
import { createGitBlobHash, type GitBlobHash } from '../io/index.js';

/** What of a repository is on disk already, by the hashes that a Hub tells. */

const PIECE_BYTES = 256 * 1024;

/** Takes the bytes of a file in order, for the hash that a Hub calls it by; null: it tells none that is known. */
export function contentHash({ etag, size }: HubFileInfo): GitBlobHash | null {
  if (!/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/i.test(etag)) return null;
  if (etag.length === 40) return createGitBlobHash(size);
  const hash = createHash('sha256');
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest('hex') };
}

/** Whether bytes are those of a file; true where the Hub tells no hash that is known. */
export function isContent(bytes: Uint8Array, info: HubFileInfo): boolean {
  const hash = contentHash(info);
  hash?.update(bytes);
  return hash === null || hash.digest() === info.etag.toLowerCase();
}

/** Whether a path holds the bytes of a file: nothing is believed of names, sizes or times. Rejects only when cancelled. */
export async function isOnDisk(
  path: string,
  info: HubFileInfo,
  signal: AbortSignal,
): Promise<boolean> {
  const hash = contentHash(info);
  if (hash === null) return false;
  try {
    const found = await lstat(path);
    if (!found.isFile() || found.size !== info.size) return false;
    const file = await open(path, 'r');
    try {
      const piece = new Uint8Array(Math.min(PIECE_BYTES, Math.max(1, info.size)));
      for (;;) {
        throwIfAborted(signal);
        const { bytesRead } = await file.read(piece, 0, piece.length, null);
        if (bytesRead === 0) break;
        hash.update(piece.subarray(0, bytesRead));
      }
    } finally {
      await file.close();
    }
    return hash.digest() === info.etag.toLowerCase();
  } catch (error) {
    if (signal.aborted) throw error;
    // What is not there, or cannot be read, is fetched.
    return false;
  }
}
