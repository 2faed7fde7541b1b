import { MAX_CHUNK_BYTES } from '../bytes/index.js';
import {
  type ChunkCompressor,
  type ChunkCompressorOptions,
  checkCompressionPolicy,
  copyBytes,
  createChunkCompressor,
  DEFAULT_COMPRESSION_POLICY,
} from '../compress/index.js';
import { RECORD_HEADER_BYTES } from './limits.js';
import type { RecordKernels } from './ports.js';
import { writeRecordHeader } from './record-header.js';

/** What a chunk compressor needs: codec, policy, scratch. */
export interface RecordPackerOptions extends ChunkCompressorOptions {
  /** Asked first, with whole lists. What they decline is packed chunk by chunk. */
  readonly kernels?: RecordKernels | null | undefined;
}

/** Turns chunks that lie in memory into chunk records. */
export interface RecordPacker {
  /**
   * Writes one record for each chunk `source[starts[i], starts[i] + lengths[i])` to `target` from
   * `targetOffset` on, and its serialized length to `recordLengths[i]`. Returns the bytes written.
   * Starts ascend and chunks do not overlap.
   *
   * `target` may be the same memory as `source`: then `targetOffset` lies at least
   * `8 * starts.length` bytes before the first chunk. A record is at most 8 bytes longer than its
   * chunk, so that with this headroom no record reaches a chunk still to be read; each payload is
   * made in scratch memory, or moved as a whole, before its place is written.
   *
   * @throws RangeError when lists differ in length, chunks are not in order or out of bounds,
   * `target` has no room for the worst case, or the headroom is missing. Nothing is written then.
   */
  pack(
    source: Uint8Array,
    starts: Uint32Array,
    lengths: Uint32Array,
    target: Uint8Array,
    targetOffset: number,
    recordLengths: Uint32Array,
  ): number;
}

/**
 * A packer for any number of calls; one thread's scratch memory.
 *
 * @example
 * const packer = createRecordPacker({ codec: createReadableCodec(), policy: 'auto' });
 * const records = new Uint8Array(65536 + 8);
 * const lengths = new Uint32Array(1);
 * packer.pack(new Uint8Array(65536), Uint32Array.of(0), Uint32Array.of(65536), records, 0, lengths);
 */
export function createRecordPacker(options: RecordPackerOptions): RecordPacker {
  const { kernels, policy = DEFAULT_COMPRESSION_POLICY } = options;
  checkCompressionPolicy(policy);
  // Made when it is needed: its scratch memory is large.
  let compressor: ChunkCompressor | null = null;
  return {
    pack(source, starts, lengths, target, targetOffset, recordLengths) {
      checkPlan(source, starts, lengths, target, targetOffset, recordLengths);
      const job = { source, starts, lengths, target, targetOffset, recordLengths };
      const packedBytes = kernels?.pack(policy, job) ?? -1;
      if (packedBytes >= 0) return packedBytes;
      compressor ??= createChunkCompressor(options);
      let at = targetOffset;
      for (let i = 0; i < starts.length; i++) {
        const start = starts[i] as number;
        const length = lengths[i] as number;
        const chunk = source.subarray(start, start + length);
        const { scheme, payload } = compressor.compress(chunk);
        // Moves as if through a copy, so that a raw chunk may overlap its new place.
        copyBytes(options.codec, payload, target.subarray(at + RECORD_HEADER_BYTES));
        writeRecordHeader(target, at, {
          scheme,
          compressedLength: payload.length,
          uncompressedLength: length,
        });
        const recordLength = RECORD_HEADER_BYTES + payload.length;
        recordLengths[i] = recordLength;
        at += recordLength;
      }
      return at - targetOffset;
    },
  };
}

function checkPlan(
  source: Uint8Array,
  starts: Uint32Array,
  lengths: Uint32Array,
  target: Uint8Array,
  targetOffset: number,
  recordLengths: Uint32Array,
): void {
  const count = starts.length;
  if (lengths.length !== count || recordLengths.length < count) {
    throw new RangeError(
      `"lengths" and "recordLengths" expected ${count} entries, got ${lengths.length} and ${recordLengths.length}`,
    );
  }
  let end = 0;
  let worstBytes = RECORD_HEADER_BYTES * count;
  for (let i = 0; i < count; i++) {
    const start = starts[i] as number;
    const length = lengths[i] as number;
    if (start < end || length > MAX_CHUNK_BYTES || start + length > source.length) {
      throw new RangeError(`chunk ${i} at ${start} with ${length} bytes is out of order or bounds`);
    }
    end = start + length;
    worstBytes += length;
  }
  // Not only negative: kernels would take NaN for 0 and a fraction for its floor.
  if (
    !(
      Number.isInteger(targetOffset) &&
      targetOffset >= 0 &&
      worstBytes <= target.length - targetOffset
    )
  ) {
    throw new RangeError(`"target" expected ${worstBytes} bytes at ${targetOffset}`);
  }
  if (count === 0 || source.buffer !== target.buffer) return;

  const sourceStart = source.byteOffset + (starts[0] as number);
  const sourceEnd = source.byteOffset + end;
  const targetStart = target.byteOffset + targetOffset;
  const apart = targetStart >= sourceEnd || targetStart + worstBytes <= sourceStart;
  if (!apart && targetStart > sourceStart - RECORD_HEADER_BYTES * count) {
    throw new RangeError(
      `"targetOffset" expected ${RECORD_HEADER_BYTES * count} bytes of headroom before the first chunk, got ${sourceStart - targetStart}`,
    );
  }
}
