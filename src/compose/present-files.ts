import { chunkBound, DEFAULT_PARAMS } from '../chunker/index.js';
import type { Source } from '../client/ports.js';
import { Scope } from '../flow/index.js';
import type { FileEntry } from '../folder/index.js';
import { createMerkleTree, DATA_KEY, HASH_BYTES } from '../hash/index.js';
import type { PresentFile } from '../io/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import { cutChunks, type WorkerPool } from '../workers/web.js';

/**
 * Files that are there already when a folder is restored, of an earlier run or of an older version: one that
 * is cut and hashed to the hash of the manifest need not be fetched. Nothing is believed of names, sizes or times.
 */

/** Up to here a file is hashed on the calling thread, which takes a millisecond at most. */
const INLINE_BYTES: number = 1024 * 1024;

/** Whether a file holds what the manifest says. Never rejects. */
export async function isPresent(
  pool: WorkerPool,
  {
    entry,
    file,
    onRead,
  }: {
    readonly entry: FileEntry;
    readonly file: PresentFile;
    /** So much of a large file is read. */
    readonly onRead: (bytes: number) => void;
  },
  signal: AbortSignal,
): Promise<boolean> {
  if (entry.sizeBytes === 0) return true;
  try {
    const found =
      entry.sizeBytes <= INLINE_BYTES
        ? await hashInline(pool, file, entry.sizeBytes)
        : await hashInThreads(pool, sourceOf(entry, file, onRead), signal);
    return found === entry.fileHash;
  } catch {
    // What cannot be read, or is changed meanwhile, is fetched.
    return false;
  }
}

async function hashInline(
  { kernels }: WorkerPool,
  file: PresentFile,
  sizeBytes: number,
): Promise<string | null> {
  const data = new Uint8Array(sizeBytes);
  for (let done = 0; done < sizeBytes; ) {
    const count = await file.read(data.subarray(done), done);
    if (count === 0) return null;
    done += count;
  }
  const ends = new Uint32Array(chunkBound(sizeBytes));
  const hashes = new Uint8Array(HASH_BYTES * ends.length);
  const job = { data, start: 0, end: sizeBytes, isLast: true, params: DEFAULT_PARAMS };
  const count = cutChunks(kernels, DATA_KEY, { ...job, ends, hashes });
  const tree = createMerkleTree(kernels.hasher);
  for (let i = 0; i < count; i++) {
    const start = i === 0 ? 0 : (ends[i - 1] as number);
    tree.push(hashes, HASH_BYTES * i, (ends[i] as number) - start);
  }
  return tree.fileHash().toString();
}

async function hashInThreads(
  pool: WorkerPool,
  source: Source & { readonly sizeBytes: number },
  signal: AbortSignal,
): Promise<string> {
  const { listChunks } = await import('../client/index.js');
  const tree = createMerkleTree(pool.kernels.hasher);
  const scope = new Scope({ clock: SYSTEM_CLOCK, signal, what: 'the download' });
  pool.expectBytes(source.sizeBytes);
  try {
    await listChunks({
      pool,
      source,
      scope,
      onChunks: (hashes, lengths) => tree.pushAll(hashes, lengths),
    });
    return tree.fileHash().toString();
  } finally {
    scope.close();
  }
}

function sourceOf(
  { path, sizeBytes }: FileEntry,
  file: PresentFile,
  onRead: (bytes: number) => void,
): Source & { readonly sizeBytes: number } {
  return {
    name: path,
    sizeBytes,
    reopenable: false,
    async open() {
      let position = 0;
      return {
        async read(into) {
          const count = await file.read(into, position);
          position += count;
          onRead(position);
          return count;
        },
        close: async () => {},
      };
    },
  };
}
