import { decompressChunk } from '../compress/index.js';
import type { BlockCodec } from '../compress/ports.js';
import { RECORD_HEADER_BYTES } from './limits.js';
import { readRecordHeader } from './record-header.js';
import type { RecordTable } from './record-table.js';

/** Records `first` to `last` (exclusive) of a table that was read from `input` at `start`. */
export interface RecordRun {
  readonly input: Uint8Array;
  readonly start: number;
  readonly table: RecordTable;
  readonly first: number;
  readonly last: number;
}

/**
 * Decodes a run of records side by side into `output` from `outputOffset` on and returns where
 * they end. `scratch` holds a chunk still grouped by BG4. Bounds come from the table.
 */
export function decodeRecords(
  codec: BlockCodec,
  scratch: Uint8Array,
  run: RecordRun,
  output: Uint8Array,
  outputOffset: number,
): number {
  const { input, start, table } = run;
  let at = start + (run.first === 0 ? 0 : (table.recordEnds[run.first - 1] as number));
  let to = outputOffset;
  for (let i = run.first; i < run.last; i++) {
    const header = readRecordHeader(input, at);
    const payloadAt = at + RECORD_HEADER_BYTES;
    const payload = input.subarray(payloadAt, payloadAt + header.compressedLength);
    const end = to + header.uncompressedLength;
    decompressChunk(codec, header.scheme, payload, output.subarray(to, end), scratch);
    at = payloadAt + header.compressedLength;
    to = end;
  }
  return to;
}
