import { chunkBound, DEFAULT_PARAMS } from '../chunker/index.js';
import type { GearScanner } from '../chunker/ports.js';
import type { Source } from '../client/ports.js';
import type { BlockCodec } from '../compress/ports.js';
import { OrbweaverError } from '../errors.js';
import { createMerkleTree, DATA_KEY, HASH_BYTES, MerkleHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import {
  createMemory,
  KERNEL_SCRATCH_BYTES,
  KERNEL_STATIC_BYTES,
  type KernelTier,
  simdAvailable,
  type TierRequest,
} from '../kernels/index.js';
import { checkOptions, is, type OptionRules } from '../options/index.js';
import { createThreadKernels, cutChunks } from '../workers/index.js';
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
  /** Told of the bytes that were cut so far, at least every 4 MiB. */
  readonly onProgress?: ((progress: { readonly readBytes: number }) => void) | undefined;
}

const RULES: OptionRules<ChunkInputOptions> = {
  tier: is.oneOf(['auto', 'simd', 'portable', 'readable']),
  signal: is.signal,
  onProgress: is.callback,
};

/** Bytes that are cut at a time: what little of them is left open each time is looked at again. */
const BLOCK_BYTES = 4 * 1024 * 1024;
const BLOCK_START: number = KERNEL_STATIC_BYTES + KERNEL_SCRATCH_BYTES;

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
  checkOptions('chunkInput', options, RULES);
  // Bytes are read to where the kernels take them; tiers without a memory have an array.
  const memory = simdAvailable() ? createMemory(BLOCK_START + BLOCK_BYTES, false) : undefined;
  const kernels = await createThreadKernels({ tier: options.tier, memory });
  const buffer =
    kernels.memory === null
      ? new Uint8Array(BLOCK_BYTES)
      : new Uint8Array(kernels.memory.buffer, BLOCK_START, BLOCK_BYTES);
  const ends = new Uint32Array(chunkBound(BLOCK_BYTES));
  const hashes = new Uint8Array(HASH_BYTES * ends.length);
  const source: Source = await toSource(input);
  const tree = createMerkleTree(kernels.hasher);
  const chunks: ChunkListing['chunks'][number][] = [];
  let sizeBytes = 0;
  const reader = await source.open(options.signal);
  try {
    let isLast = false;
    // The buffer begins with the chunk that is still open.
    for (let end = 0; !isLast; ) {
      if (options.signal?.aborted) throw new OrbweaverError('ABORTED', 'the listing was cancelled');
      const count = await reader.read(buffer.subarray(end));
      end += count;
      isLast = count === 0;
      if (end < buffer.length && !isLast) continue;
      const job = { data: buffer, start: 0, end, isLast, params: DEFAULT_PARAMS, ends, hashes };
      const found = cutChunks(kernels, DATA_KEY, job);
      let used = 0;
      for (let i = 0; i < found; i++) {
        const length = (ends[i] as number) - used;
        const hash = MerkleHash.from(hashes, HASH_BYTES * i).toString();
        tree.push(hashes, HASH_BYTES * i, length);
        chunks.push({ offset: sizeBytes, length, hash });
        used += length;
        sizeBytes += length;
      }
      buffer.copyWithin(0, used, end);
      end -= used;
      options.onProgress?.({ readBytes: sizeBytes });
    }
  } finally {
    await reader.close();
  }
  return { fileHash: tree.fileHash().toString(), sizeBytes, chunks };
}
