import { isOrbweaverError, OrbweaverError } from '../../errors.js';
import {
  createSubtreeBuilder,
  fileHashOfRoot,
  type Hasher,
  type MerkleHash,
  type MerkleSubtree,
  mergeSubtrees,
  subtreeRoot,
} from '../../hash/index.js';
import type { ChunkHashes, Sink } from '../ports.js';
import type { DownloadRange, HashTree } from './types.js';

/**
 * What makes a range as trustworthy as a whole file: the subtrees of the chunks before and behind it,
 * which together with the chunks of the range give the file hash.
 *
 *     file      |  before  |        window        |  behind  |
 *     asked                   |  range  |
 *
 * The window is what is read: whole chunks around the range, and the two behind it that the store's
 * rule for windows adds.
 */
export interface RangeProof {
  /** Bytes of the file, on chunk boundaries, which hold the range. */
  readonly window: { readonly start: number; readonly end: number };
  /** The bytes that were asked for, cut at the end of the file. */
  readonly range: { readonly start: number; readonly end: number };
  /** An empty tree that takes the chunks of the window and gives the hash of the file. */
  newTree(hasher: Hasher): HashTree;
}

/** Bytes that a proof may have to read beyond the range, when nobody insists on it. */
export const PROOF_EXTRA_MAX_BYTES: number = 8 * 1024 * 1024;

/**
 * Asks for the proof of a range. Null when the store does not offer one, or has no such bytes.
 *
 * @throws OrbweaverError `INTEGRITY` for one that contradicts itself; what the store throws
 */
export async function askProof(
  cas: ChunkHashes,
  {
    fileHash,
    range,
    signal,
  }: {
    readonly fileHash: MerkleHash;
    readonly range: DownloadRange;
    readonly signal?: AbortSignal | undefined;
  },
): Promise<RangeProof | null> {
  const start = range.offset;
  // The last byte that the protocol can name stands for the end of the file.
  const mostBytes = Number.MAX_SAFE_INTEGER - start;
  const askedEnd = start + Math.min(range.length ?? mostBytes, mostBytes);
  if (askedEnd <= start) return null;
  const hashes = await cas
    .getChunkHashes(fileHash, [{ start, end: askedEnd }], signal)
    .catch((error: unknown) => {
      if (!isOrbweaverError(error)) throw error;
      // No byte of the range lies in the file; the download will say so.
      if (error.code === 'REJECTED') return null;
      throw error.code === 'PROTOCOL' ? wrongProof(fileHash, error.message, error) : error;
    });
  if (hashes === null) return null;
  const end = Math.min(askedEnd, hashes.fileSizeBytes);
  const [window, ...others] = hashes.windows;
  if (window === undefined || others.length > 0 || window.start > start || window.end < end) {
    throw wrongProof(fileHash, `"windows" expected one around bytes [${start}, ${end})`);
  }
  const [before = null, behind = null] = hashes.gaps;
  const ends = { atStart: window.start === 0, atEnd: window.end === hashes.fileSizeBytes };
  return {
    window,
    range: { start, end },
    newTree: (hasher) => proofTree(hasher, { before, behind, fileHash, ...ends }),
  };
}

function proofTree(
  hasher: Hasher,
  proof: {
    readonly before: MerkleSubtree | null;
    readonly behind: MerkleSubtree | null;
    readonly atStart: boolean;
    readonly atEnd: boolean;
    readonly fileHash: MerkleHash;
  },
): HashTree {
  const builder = createSubtreeBuilder(hasher, proof.atStart);
  return {
    push: (hashes, offset, sizeBytes) => builder.push(hashes, offset, sizeBytes),
    fileHash() {
      const parts = [proof.before, builder.finish(proof.atEnd), proof.behind];
      try {
        const whole = mergeSubtrees(
          hasher,
          parts.filter((part) => part !== null),
        );
        return fileHashOfRoot(hasher, subtreeRoot(whole));
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        throw wrongProof(proof.fileHash, reason, error);
      }
    },
  };
}

function wrongProof(fileHash: MerkleHash, reason: string, cause?: unknown): OrbweaverError {
  return new OrbweaverError(
    'INTEGRITY',
    `the proof of a range of file ${fileHash} expected subtrees around it: ${reason}`,
    { expected: fileHash.toString() },
    cause,
  );
}

/** Passes on the bytes of the range, and drops what the window has beyond it. */
export function rangeOfWindow(sink: Sink, { window, range }: RangeProof): Sink {
  const head = range.start - window.start;
  const length = range.end - range.start;
  /** The part of `[offset, offset + size)` of the window that lies in the range. */
  const clip = (offset: number, size: number): { from: number; to: number } => {
    const from = Math.min(size, Math.max(0, head - offset));
    return { from, to: Math.max(from, Math.min(size, head + length - offset)) };
  };
  const write = async (bytes: Uint8Array, offset: number): Promise<void> => {
    const { from, to } = clip(offset, bytes.length);
    if (to > from) await sink.write(bytes.subarray(from, to), offset + from - head);
  };
  const { prepare, writeAll, writeOwned, skip } = sink;
  return {
    name: sink.name,
    positional: sink.positional,
    write,
    ...(prepare && {
      prepare(sizeBytes: number) {
        const { from, to } = clip(0, sizeBytes);
        return prepare.call(sink, to - from);
      },
    }),
    ...(writeAll && {
      async writeAll(pieces: readonly Uint8Array[], offset: number) {
        const kept: Uint8Array[] = [];
        let at = offset;
        let first = -1;
        for (const piece of pieces) {
          const { from, to } = clip(at, piece.length);
          if (to > from) {
            if (first < 0) first = at + from - head;
            kept.push(piece.subarray(from, to));
          }
          at += piece.length;
        }
        if (kept.length > 0) await writeAll.call(sink, kept, first);
      },
    }),
    ...(writeOwned && {
      async writeOwned(bytes: Uint8Array<ArrayBuffer>, offset: number) {
        const { from, to } = clip(offset, bytes.length);
        if (to > from) await writeOwned.call(sink, bytes.subarray(from, to), offset + from - head);
      },
    }),
    ...(skip && {
      skip(offset: number, lengthBytes: number) {
        const { from, to } = clip(offset, lengthBytes);
        if (to > from) skip.call(sink, offset + from - head, to - from);
      },
    }),
    commit: () => sink.commit(length),
    abort: (reason) => sink.abort(reason),
  };
}
