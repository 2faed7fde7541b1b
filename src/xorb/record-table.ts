import { OrbweaverError } from '../errors.js';
import { RECORD_HEADER_BYTES, XORB_MAX_CHUNKS } from './limits.js';
import { isFooterIdent, readRecordHeader } from './record-header.js';

/** Where the records of a run lie, found by walking their headers; payloads are not looked at. */
export interface RecordTable {
  /** Records found. */
  readonly count: number;
  /** End of record i, counted from the start of the run, header included. */
  readonly recordEnds: Uint32Array;
  /** End of chunk i, counted from the first chunk, uncompressed. */
  readonly rawEnds: Uint32Array;
  /** Where the records end in `bytes`: `end`, or the start of a footer. */
  readonly end: number;
}

/**
 * Walks whole records in `bytes[start, end)`. Memory grows with what is there, never with what a
 * header claims. With `footer: 'stop'` the walk ends cleanly where a footer starts.
 *
 * @throws OrbweaverError the errors of `readRecordHeader`; `TRUNCATED` a record reaches past `end`;
 * `LIMIT_EXCEEDED` more than 8192 records
 */
export function readRecordTable(
  bytes: Uint8Array,
  start: number,
  end: number,
  options: { readonly footer?: 'stop' | 'refuse' } = {},
): RecordTable {
  if (start < 0 || end < start || end > bytes.length) {
    throw new RangeError(`records in [${start}, ${end}) of ${bytes.length} bytes`);
  }
  const window = end === bytes.length ? bytes : bytes.subarray(0, end);
  let ends = new Uint32Array(2 * 64);
  let count = 0;
  let at = start;
  let raw = 0;
  while (at < end) {
    if (options.footer === 'stop' && isFooterIdent(window, at)) break;
    const header = readRecordHeader(window, at);
    const next = at + RECORD_HEADER_BYTES + header.compressedLength;
    if (next > end) {
      throw new OrbweaverError(
        'TRUNCATED',
        `"payload" expected ${header.compressedLength} bytes at offset ${at + RECORD_HEADER_BYTES}, got ${end - at - RECORD_HEADER_BYTES}`,
        { field: 'payload', offset: at + RECORD_HEADER_BYTES, expected: header.compressedLength },
      );
    }
    if (count === XORB_MAX_CHUNKS) {
      throw new OrbweaverError(
        'LIMIT_EXCEEDED',
        `"chunk count" expected at most ${XORB_MAX_CHUNKS}, got more at offset ${at}`,
        { field: 'chunk count', offset: at },
      );
    }
    if (2 * count === ends.length) {
      const grown = new Uint32Array(2 * ends.length);
      grown.set(ends);
      ends = grown;
    }
    raw += header.uncompressedLength;
    ends[2 * count] = next - start;
    ends[2 * count + 1] = raw;
    count++;
    at = next;
  }
  const recordEnds = new Uint32Array(count);
  const rawEnds = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    recordEnds[i] = ends[2 * i] as number;
    rawEnds[i] = ends[2 * i + 1] as number;
  }
  return { count, recordEnds, rawEnds, end: at };
}
