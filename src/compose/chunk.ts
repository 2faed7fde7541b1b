import { createChunkHasher, type HashedChunk } from '../chunker/index.js';
import type { GearScanner } from '../chunker/ports.js';
import type { Source } from '../client/ports.js';
import type { BlockCodec } from '../compress/ports.js';
import { OrbweaverError } from '../errors.js';
import { chunkHash, createMerkleTree, type MerkleHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import type { KernelTier, TierRequest } from '../kernels/index.js';
import { createThreadKernels } from '../workers/index.js';
import { toSource, type UploadInput } from './input.js';

/** The byte work of one thread, behind the ports that `orbweaver/formats` takes. */
export interface LoadedKernels {
  readonly tier: KernelTier;
  readonly scanner: GearScanner;
  readonly hasher: Hasher;
  readonly codec: BlockCodec;
}

/**
 * Fast kernels for the functions of `orbweaver/formats`. Synchronous once loaded, for one thread.
 *
 * @throws OrbweaverError `KERNEL_UNAVAILABLE` when a forced tier does not run here
 * @example
 * const { scanner } = await loadKernels();
 * const cuts = findCuts(scanner, new Uint8Array(1_000_000));
 */
export async function loadKernels(tier: TierRequest = 'auto'): Promise<LoadedKernels> {
  return createThreadKernels({ tier });
}

/** A file's chunks. */
export interface ChunkListing {
  /** 64 digits. */
  readonly fileHash: string;
  readonly sizeBytes: number;
  readonly chunks: readonly {
    /** First byte, counted from the start of the file. */
    readonly offset: number;
    readonly length: number;
    /** 64 digits. */
    readonly hash: string;
  }[];
}

export interface ChunkInputOptions {
  /** @default 'auto' */
  readonly tier?: TierRequest | undefined;
  readonly signal?: AbortSignal | undefined;
}

const READ_BYTES = 4 * 1024 * 1024;

/**
 * Cuts an input and hashes its chunks, on the calling thread; nothing is sent.
 *
 * @throws OrbweaverError `INPUT_*` as the input deserves, `ABORTED`
 * @example
 * const { fileHash, chunks } = await chunkInput('model.safetensors');
 */
export async function chunkInput(
  input: UploadInput,
  options: ChunkInputOptions = {},
): Promise<ChunkListing> {
  const { scanner, hasher } = await createThreadKernels({ tier: options.tier });
  const source: Source = await toSource(input);
  const tree = createMerkleTree(hasher);
  const chunker = createChunkHasher<MerkleHash>({
    scanner,
    hashChunk: (chunk) => chunkHash(hasher, chunk),
  });
  const chunks: ChunkListing['chunks'][number][] = [];
  let sizeBytes = 0;
  const note = (found: readonly HashedChunk<MerkleHash>[]): void => {
    for (const { offset, length, hash } of found) {
      tree.push(hash.bytes, 0, length);
      chunks.push({ offset, length, hash: hash.toString() });
      sizeBytes += length;
    }
  };
  const block = new Uint8Array(READ_BYTES);
  const reader = await source.open(options.signal);
  try {
    for (;;) {
      if (options.signal?.aborted) throw new OrbweaverError('ABORTED', 'the listing was cancelled');
      const count = await reader.read(block);
      if (count === 0) break;
      note(chunker.push(block.subarray(0, count)));
    }
  } finally {
    await reader.close();
  }
  note(chunker.finish());
  return { fileHash: tree.fileHash().toString(), sizeBytes, chunks };
}
