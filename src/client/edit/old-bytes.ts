import { GrowableBytes, GrowableU32 } from '../../bytes/index.js';
import type { ByteSpan } from '../../chunker/index.js';
import { OrbweaverError } from '../../errors.js';
import { createSubtreeBuilder, HASH_BYTES, type MerkleSubtree } from '../../hash/index.js';
import type { DownloadOptions } from '../download/index.js';
import { downloadFile } from '../download/index.js';
import { createPipe } from './pipe.js';

/** What reading old bytes needs, and where it counts. */
export interface OldBytesParts
  extends Pick<
    DownloadOptions,
    'cas' | 'pool' | 'hasher' | 'clock' | 'fileHash' | 'budget' | 'concurrency'
  > {
  /** Bytes of xorbs that came over the wire. */
  readonly onFetched: (bytes: number) => void;
}

/** Chunks of a stretch of the old file, as they came. */
export interface ReadChunks {
  readonly hashes: Uint8Array;
  readonly sizes: Uint32Array;
}

/** Reads one stretch of the old file, front to back. */
export interface OldBytes {
  read(into: Uint8Array): Promise<number>;
  /** Its chunks, when its last byte was read and `read` has returned 0. */
  chunks(): ReadChunks;
  cancel(): void;
}

/**
 * Opens bytes of the old file, which begin and end between two chunks; without a span all of them, which
 * are then held against the file hash.
 */
export function openOldBytes(parts: OldBytesParts, span: ByteSpan | null): OldBytes {
  const { onFetched, ...download } = parts;
  const pipe = createPipe(`file ${parts.fileHash}`);
  const cancelling = new AbortController();
  const hashes = new GrowableBytes();
  const sizes = new GrowableU32();
  let fetchedBytes = 0;
  let opened = false;
  const open = (): void => {
    opened = true;
    const running = downloadFile({
      ...download,
      sink: pipe.sink,
      signal: cancelling.signal,
      onProgress: (progress) => {
        onFetched(progress.fetchedBytes - fetchedBytes);
        fetchedBytes = progress.fetchedBytes;
      },
      ...(span !== null && {
        range: { offset: span.start, length: span.end - span.start },
        newTree: () => ({
          push(from: Uint8Array, offset: number, sizeBytes: number) {
            hashes.push(from.subarray(offset, offset + HASH_BYTES));
            sizes.push(sizeBytes);
          },
          // They are proved with those of the other stretches, not here.
          fileHash: () => parts.fileHash,
        }),
      }),
    });
    // What went wrong is told to who reads.
    running.then(
      (summary) => onFetched(summary.fetchedBytes - fetchedBytes),
      () => {},
    );
  };
  return {
    read(into) {
      if (!opened) open();
      return pipe.read(into);
    },
    chunks: () => ({ hashes: hashes.view(), sizes: sizes.view() }),
    cancel: () =>
      cancelling.abort(new OrbweaverError('CLOSED', 'these bytes of the old file are not needed')),
  };
}

/** Reads a stretch for its chunks only. */
export async function readChunks(parts: OldBytesParts, span: ByteSpan): Promise<ReadChunks> {
  const bytes = openOldBytes(parts, span);
  const into = new Uint8Array(64 * 1024);
  while ((await bytes.read(into)) > 0);
  return bytes.chunks();
}

/** A stretch of chunks as a part of the tree of the file. */
export function treeOf(
  parts: Pick<OldBytesParts, 'hasher'>,
  { hashes, sizes }: ReadChunks,
): MerkleSubtree | null {
  const builder = createSubtreeBuilder(parts.hasher, false);
  for (let i = 0; i < sizes.length; i++) {
    builder.push(hashes, HASH_BYTES * i, sizes[i] as number);
  }
  return builder.finish(false);
}
