import { DEFAULT_PARAMS } from '../../chunker/index.js';
import { RECORD_HEADER_BYTES, XORB_MAX_BYTES } from '../../xorb/index.js';
import type { ComputePool } from '../ports.js';

/**
 * How an upload shares out the slabs of a pool. One slab of a lane:
 *
 *     | record headers | unfinished chunk of the slab before | data …                 |
 *     0                 8 × maxChunks                         dataStart       slabBytes
 *
 * The data of a file is read to `dataStart` and beyond. The chunk that the former slab of the same
 * file left unfinished is copied in front of it, so that every chunk lies in one piece. Packing in
 * place starts in the room of the record headers and can so never overtake what it still reads.
 */
export interface UploadSizes {
  readonly slabBytes: number;
  /** Most chunks in one slab. */
  readonly maxChunks: number;
  readonly dataStart: number;
  /** Sources read at once. */
  readonly laneCount: number;
  /** Slabs being scanned, hashed or placed at once. */
  readonly batchCount: number;
  readonly xorbMaxBytes: number;
}

/** Mean bytes of slab for each chunk it may hold: 4 KiB of headers for every MiB. */
const SLAB_BYTES_PER_CHUNK = 2048;

/**
 * Share of the free slabs that one xorb may fill. Below a half, one xorb can be sent while the next
 * one fills, so that neither the processor nor the network ever waits for the other.
 */
const XORB_SHARE = 0.5;

/** @throws RangeError for a concurrency below 1 */
export function uploadSizes(
  pool: Pick<ComputePool, 'slabBytes' | 'slabCount' | 'threads'>,
  options: { readonly readConcurrency: number; readonly xorbMaxBytes: number | undefined },
): UploadSizes {
  const { slabBytes, slabCount, threads } = pool;
  const maxChunks = Math.floor(slabBytes / SLAB_BYTES_PER_CHUNK);
  const dataStart = RECORD_HEADER_BYTES * maxChunks + DEFAULT_PARAMS.maxBytes;
  const laneCount = Math.max(1, Math.min(options.readConcurrency, Math.floor(slabCount / 4)));
  const batchCount = Math.max(2, Math.min(threads + 2, Math.floor(slabCount / 4)));
  const free = slabCount - batchCount - 2;
  const share = Math.max(1, Math.floor(free * XORB_SHARE)) * (slabBytes - dataStart);
  return {
    slabBytes,
    maxChunks,
    dataStart,
    laneCount,
    batchCount,
    xorbMaxBytes: Math.min(XORB_MAX_BYTES, options.xorbMaxBytes ?? Number.POSITIVE_INFINITY, share),
  };
}
