import { MAX_CHUNK_BYTES } from '../compress/index.js';
import type { BlockCodec } from '../compress/ports.js';
import { OrbweaverError } from '../errors.js';
import { DATA_KEY, HASH_BYTES } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import { decodeRecords } from './decode-records.js';
import { readRecordTable } from './record-table.js';

/** Scratch that one decoder works in: a chunk still grouped by BG4. */
export const DECODE_SCRATCH_BYTES: number = MAX_CHUNK_BYTES;

export interface RecordDecoderOptions {
  readonly codec: BlockCodec;
  readonly hasher: Hasher;
  /** At least {@link DECODE_SCRATCH_BYTES}, owned by the decoder. Default: allocated here. */
  readonly scratch?: Uint8Array | undefined;
}

export interface DecodedRecords {
  /** Uncompressed length of each chunk in order. */
  readonly lengths: Uint32Array;
  /** Chunk hashes (data key), 32 bytes each, computed from the decoded bytes. */
  readonly hashes: Uint8Array;
}

export interface RecordDecoder {
  /**
   * Decodes the whole records in `input[start, end)` side by side into `output` from
   * `outputOffset` on, and hashes each chunk. `input` and `output` must not overlap; both may be
   * views of shared memory. On an error the output range holds garbage.
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
  ): DecodedRecords;
}

/** A decoder for any number of calls; one thread's scratch memory. */
export function createRecordDecoder(options: RecordDecoderOptions): RecordDecoder {
  const { codec, hasher } = options;
  const scratch = options.scratch ?? new Uint8Array(DECODE_SCRATCH_BYTES);
  if (scratch.length < DECODE_SCRATCH_BYTES) {
    throw new RangeError(`"scratch" expected ${DECODE_SCRATCH_BYTES} bytes, got ${scratch.length}`);
  }
  return {
    decode(input, start, end, output, outputOffset, expectedBytes) {
      if (outputOffset < 0 || expectedBytes > output.length - outputOffset) {
        throw new RangeError(`"output" expected ${expectedBytes} bytes at ${outputOffset}`);
      }
      const table = readRecordTable(input, start, end);
      const { count, rawEnds } = table;
      const rawBytes = count === 0 ? 0 : (rawEnds[count - 1] as number);
      if (rawBytes !== expectedBytes) {
        throw new OrbweaverError(
          'SIZE_MISMATCH',
          `"uncompressed bytes" expected ${expectedBytes}, got ${rawBytes} in ${count} records`,
          { field: 'uncompressed bytes', expected: expectedBytes, found: rawBytes },
        );
      }
      decodeRecords(
        codec,
        scratch,
        { input, start, table, first: 0, last: count },
        output,
        outputOffset,
      );

      const lengths = new Uint32Array(count);
      const ends = new Uint32Array(count);
      for (let i = 0, previous = 0; i < count; i++) {
        const rawEnd = rawEnds[i] as number;
        lengths[i] = rawEnd - previous;
        ends[i] = outputOffset + rawEnd;
        previous = rawEnd;
      }
      const hashes = new Uint8Array(HASH_BYTES * count);
      hasher.keyedMany(DATA_KEY, output, outputOffset, ends, count, hashes, 0);
      return { lengths, hashes };
    },
  };
}
