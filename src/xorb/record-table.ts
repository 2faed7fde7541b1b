import { withRoom } from '../bytes/index.js';
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
  options: RecordWalkOptions = {},
): RecordTable {
  if (start < 0 || end < start || end > bytes.length) {
    throw new RangeError(`records in [${start}, ${end}) of ${bytes.length} bytes`);
  }
  const walk = new RecordWalk({ ...options, offset: start });
  const at = walk.advance(bytes, start, end);
  walk.end(bytes, at, end);
  return walk.table();
}

export interface RecordWalkOptions {
  /** What to do where a footer starts. @default 'refuse' */
  readonly footer?: 'stop' | 'refuse';
}

/** The same for records that arrive bit by bit. */
export class RecordWalk {
  readonly #stopsAtFooter: boolean;
  /** Where the first record starts, for offsets in errors and in the table. */
  readonly #offset: number;
  #ends = new Uint32Array(2 * 64);
  #count = 0;
  #bytes = 0;
  #raw = 0;
  #footer = false;

  constructor(options: RecordWalkOptions & { readonly offset?: number } = {}) {
    this.#stopsAtFooter = options.footer === 'stop';
    this.#offset = options.offset ?? 0;
  }

  /** A footer started: what follows is no record. */
  get atFooter(): boolean {
    return this.#footer;
  }

  /**
   * Goes on with `window[start, end)`, which starts where the last record ended, and returns where
   * the first record starts that is not there as a whole.
   */
  advance(window: Uint8Array, start: number, end: number): number {
    let at = start;
    while (end - at >= RECORD_HEADER_BYTES && !this.#footer) {
      if (this.#stopsAtFooter && isFooterIdent(window, at)) {
        this.#footer = true;
        break;
      }
      const position = this.#offset + this.#bytes;
      const header = readRecordHeader(window, at, position);
      const recordBytes = RECORD_HEADER_BYTES + header.compressedLength;
      if (recordBytes > end - at) break;
      if (this.#count === XORB_MAX_CHUNKS) {
        throw new OrbweaverError(
          'LIMIT_EXCEEDED',
          `"chunk count" expected at most ${XORB_MAX_CHUNKS}, got more at offset ${position}`,
          { field: 'chunk count', offset: position },
        );
      }
      at += recordBytes;
      this.#bytes += recordBytes;
      this.#raw += header.uncompressedLength;
      this.#push();
    }
    return at;
  }

  /** Nothing comes after `window[start, end)`: `TRUNCATED` unless that is nothing, or a footer. */
  end(window: Uint8Array, start: number, end: number): void {
    if (this.#footer || start === end) return;
    const rest = window.subarray(start, end);
    if (this.#stopsAtFooter && isFooterIdent(rest, 0)) {
      this.#footer = true;
      return;
    }
    const position = this.#offset + this.#bytes;
    const { compressedLength } = readRecordHeader(rest, 0, position);
    const payloadAt = position + RECORD_HEADER_BYTES;
    throw new OrbweaverError(
      'TRUNCATED',
      `"payload" expected ${compressedLength} bytes at offset ${payloadAt}, got ${rest.length - RECORD_HEADER_BYTES}`,
      { field: 'payload', offset: payloadAt, expected: compressedLength },
    );
  }

  table(): RecordTable {
    const count = this.#count;
    const recordEnds = new Uint32Array(count);
    const rawEnds = new Uint32Array(count);
    for (let i = 0; i < count; i++) {
      recordEnds[i] = this.#ends[2 * i] as number;
      rawEnds[i] = this.#ends[2 * i + 1] as number;
    }
    return { count, recordEnds, rawEnds, end: this.#offset + this.#bytes };
  }

  #push(): void {
    this.#ends = withRoom(this.#ends, 2 * this.#count + 2);
    this.#ends[2 * this.#count] = this.#bytes;
    this.#ends[2 * this.#count + 1] = this.#raw;
    this.#count++;
  }
}
