import { MAX_CHUNK_BYTES } from '../bytes/index.js';
import { SCHEME_NONE } from '../compress/index.js';
import type { BlockCodec } from '../compress/ports.js';
import { OrbweaverError } from '../errors.js';
import { DATA_KEY, HASH_BYTES } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import { decodeRecords } from './decode-records.js';
import { RECORD_HEADER_BYTES } from './limits.js';
import type { DecodedRecords, RecordKernels } from './ports.js';
import { SCHEME_OFFSET } from './record-header.js';
import { readRecordTable } from './record-table.js';

/** Scratch that one decoder works in: a chunk still grouped by BG4. */
export const DECODE_SCRATCH_BYTES: number = MAX_CHUNK_BYTES;

export interface RecordDecoderOptions {
  readonly codec: BlockCodec;
  readonly hasher: Hasher;
  /** At least {@link DECODE_SCRATCH_BYTES}, owned by the decoder. Default: allocated when needed. */
  readonly scratch?: Uint8Array | undefined;
  /** Asked first, with all records. What they decline is decoded record by record. */
  readonly kernels?: RecordKernels | null | undefined;
}

export interface RecordDecoder {
  /**
   * Decodes the whole records in `input[start, end)` side by side into `output` from
   * `outputOffset` on, and hashes each chunk. `input` and `output` must not overlap; both may be
   * views of shared memory. On an error the output range holds garbage.
   *
   * With `rawInPlace` chunks that are stored as they are (scheme none) are hashed where they lie in
   * `input` and not copied: only the others are put side by side into `output`, and `expectedBytes`
   * counts only those.
   *
   * @throws OrbweaverError `SIZE_MISMATCH` when the headers do not add up to `expectedBytes`;
   * `TRUNCATED`, `FORMAT_INVALID`, `UNSUPPORTED`, `LIMIT_EXCEEDED`, `CHECKSUM_MISMATCH` as the
   * headers and frames deserve
   * @throws RangeError when `output` has no room for `expectedBytes`
   */
  decode(
    input: Uint8Array,
    start: number,
    end: number,
    output: Uint8Array,
    outputOffset: number,
    expectedBytes: number,
    options?: { readonly rawInPlace?: boolean },
  ): DecodedRecords;
}

/** A decoder for any number of calls; one thread's scratch memory. */
export function createRecordDecoder(options: RecordDecoderOptions): RecordDecoder {
  const { codec, hasher, kernels } = options;
  let { scratch } = options;
  if (scratch !== undefined && scratch.length < DECODE_SCRATCH_BYTES) {
    throw new RangeError(`"scratch" expected ${DECODE_SCRATCH_BYTES} bytes, got ${scratch.length}`);
  }
  return {
    decode(input, start, end, output, outputOffset, expectedBytes, { rawInPlace = false } = {}) {
      // Kernels compare unsigned: what is no length here would be a huge one there.
      const isPlace = isCount(outputOffset) && isCount(expectedBytes);
      if (!isPlace || expectedBytes > output.length - outputOffset) {
        throw new RangeError(`"output" expected ${expectedBytes} bytes at ${outputOffset}`);
      }
      if (isCount(start) && isCount(end) && start <= end && end <= input.length) {
        const job = { input, start, end, output, outputOffset, expectedBytes, rawInPlace };
        const decoded = kernels?.decode(DATA_KEY, job) ?? null;
        if (decoded !== null) return decoded;
      }
      scratch ??= new Uint8Array(DECODE_SCRATCH_BYTES);
      const table = readRecordTable(input, start, end);
      const { count, rawEnds, recordEnds } = table;
      const lengths = new Uint32Array(count);
      const hashes = new Uint8Array(HASH_BYTES * count);
      /** Start of chunk i in `input`, or -1 when it is decoded into `output`. */
      const inPlace = new Int32Array(count);
      let decodedBytes = 0;
      for (let i = 0; i < count; i++) {
        const recordStart = start + (i === 0 ? 0 : (recordEnds[i - 1] as number));
        const length = (rawEnds[i] as number) - (i === 0 ? 0 : (rawEnds[i - 1] as number));
        const stays = rawInPlace && input[recordStart + SCHEME_OFFSET] === SCHEME_NONE;
        lengths[i] = length;
        inPlace[i] = stays ? recordStart + RECORD_HEADER_BYTES : -1;
        if (!stays) decodedBytes += length;
      }
      if (decodedBytes !== expectedBytes) {
        throw new OrbweaverError(
          'SIZE_MISMATCH',
          `"uncompressed bytes" expected ${expectedBytes}, got ${decodedBytes} in ${count} records`,
          { field: 'uncompressed bytes', expected: expectedBytes, found: decodedBytes },
        );
      }
      let to = outputOffset;
      for (let first = 0; first < count; ) {
        // Neighbours that are decoded are hashed in one call.
        let last = first + 1;
        const hashesAt = HASH_BYTES * first;
        if ((inPlace[first] as number) >= 0) {
          const from = inPlace[first] as number;
          const chunkEnd = Uint32Array.of(from + (lengths[first] as number));
          hasher.keyedMany(DATA_KEY, input, from, chunkEnd, 1, hashes, hashesAt);
        } else {
          while (last < count && (inPlace[last] as number) < 0) last++;
          decodeRecords(codec, scratch, { input, start, table, first, last }, output, to);
          const ends = new Uint32Array(last - first);
          let at = to;
          for (let i = first; i < last; i++) {
            at += lengths[i] as number;
            ends[i - first] = at;
          }
          hasher.keyedMany(DATA_KEY, output, to, ends, last - first, hashes, hashesAt);
          to = at;
        }
        first = last;
      }
      return { lengths, hashes };
    },
  };
}

function isCount(value: number): boolean {
  return Number.isInteger(value) && value >= 0;
}
