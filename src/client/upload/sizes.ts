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
  /** How far asking for known chunks runs ahead of placing them, bytes of a file. */
  readonly lookaheadBytes: number;
  readonly xorbMaxBytes: number;
}

/** Mean bytes of slab for each chunk it may hold: 4 KiB of headers for every MiB. */
const SLAB_BYTES_PER_CHUNK = 2048;

/** Slabs that are not for xorbs: one being read, one that gathers. */
const OTHER_SLABS = 2;

/**
 * Xorbs in memory at once. With two, the next one can be read, hashed and packed to its end while
 * one is sent, so that neither the processor nor the network waits for the other; larger xorbs
 * would have to wait for each other's memory, smaller ones are more requests for every reader.
 */
const XORBS_IN_MEMORY = 2;

/**
 * Of a file this much is held back at most beside all else. More would find more, as chunks that can
 * be asked for are 64 MiB apart on average.
 */
const LOOKAHEAD_BYTES = 16 * 1024 * 1024;

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
  const xorbSlabs = Math.max(1, Math.floor((slabCount - OTHER_SLABS) / XORBS_IN_MEMORY));
  const share = xorbSlabs * (slabBytes - dataStart);
  return {
    slabBytes,
    maxChunks,
    dataStart,
    laneCount,
    batchCount,
    lookaheadBytes: Math.min(LOOKAHEAD_BYTES, slabBytes * Math.floor(slabCount / 4)),
    xorbMaxBytes: Math.min(XORB_MAX_BYTES, options.xorbMaxBytes ?? Number.POSITIVE_INFINITY, share),
  };
}
