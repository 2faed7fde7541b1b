import { SCHEME_NONE } from '../../compress/index.js';
import {
  isFooterIdent,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  readRecordHeader,
} from '../../xorb/index.js';
import { atChunk, type RangeLayout } from './range-layout.js';

/** Whole records, side by side in a slab, that are decoded together. */
export interface RecordRun {
  readonly layout: RangeLayout;
  readonly chunkStart: number;
  chunkEnd: number;
  /** Records in `[inputStart, inputEnd)` of the input slab. */
  readonly inputStart: number;
  inputEnd: number;
  /** The bytes of their compressed chunks go to `[outputStart, outputEnd)` of the output slab. */
  readonly outputStart: number;
  outputEnd: number;
  /** For each chunk: whether it is stored as it is, and so stays in the input slab. */
  readonly raw: boolean[];
  /** Where the bytes of each chunk begin: in the input slab if it is raw, else in the output slab. */
  readonly starts: number[];
}

/**
 * Walks the record headers of a range as its bytes come into a slab, and says which runs of records
 * to decode. It never looks into payloads. One walker per slab fill; the caller moves what is left
 * of an unfinished record to the next slab.
 */
export class RecordWalker {
  readonly runs: RecordRun[] = [];
  /** Everything before this position of the slab has been walked. */
  position: number;
  outputBytes = 0;
  readonly #slabBytes: number;
  readonly #start: number;

  /** @param start where in the slab the first record begins */
  constructor(slabBytes: number, start = 0) {
    this.#slabBytes = slabBytes;
    this.#start = start;
    this.position = start;
  }

  /**
   * Walks on over the whole records in `slab[0, filled)`, which belong to `layout` from `chunk` on.
   * `full` is true when the next record needs another slab.
   *
   * @returns the next chunk to come
   * @throws OrbweaverError as `readRecordHeader`, with the xorb and the chunk; `FORMAT_INVALID` for
   * an empty chunk or bytes behind the last, `TRUNCATED` for a footer in place of a record
   */
  walk(
    layout: RangeLayout,
    slab: Uint8Array,
    filled: number,
    chunk: number,
  ): { readonly chunk: number; readonly full: boolean } {
    let next = chunk;
    while (next < layout.chunkEnd && filled - this.position >= RECORD_HEADER_BYTES) {
      const header = readHeader(layout, slab, this.position, next);
      const end = this.position + RECORD_HEADER_BYTES + header.compressedLength;
      if (end > filled) {
        if (end <= this.#slabBytes) return { chunk: next, full: false };
        if (this.position > this.#start) return { chunk: next, full: true };
        const limit = `records of at most ${this.#slabBytes} bytes (give it more memory)`;
        throw layout.fault('LIMIT_EXCEEDED', `${limit}, got ${end}`, { chunk: next });
      }
      if (!this.#take(layout, next, end, header)) {
        return { chunk: next, full: true };
      }
      layout.setLength(next, header.uncompressedLength);
      this.position = end;
      next++;
    }
    if (next === layout.chunkEnd && this.position !== filled) {
      throw layout.fault('FORMAT_INVALID', `no bytes after chunk ${next - 1}, got some`, {
        chunk: next - 1,
      });
    }
    return { chunk: next, full: filled === this.#slabBytes };
  }

  /** Adds one record to the runs when it is wanted; false when the output slab is full. */
  #take(layout: RangeLayout, chunk: number, end: number, header: RecordHeader): boolean {
    if (!layout.wants(chunk)) return true;
    const isRaw = header.scheme === SCHEME_NONE;
    const outputEnd = this.outputBytes + (isRaw ? 0 : header.uncompressedLength);
    if (outputEnd > this.#slabBytes) return false;
    const start = isRaw ? this.position + RECORD_HEADER_BYTES : this.outputBytes;
    const last = this.runs.at(-1);
    if (last?.layout === layout && last.chunkEnd === chunk) {
      last.chunkEnd = chunk + 1;
      last.inputEnd = end;
      last.outputEnd = outputEnd;
      last.raw.push(isRaw);
      last.starts.push(start);
    } else {
      this.runs.push({
        layout,
        chunkStart: chunk,
        chunkEnd: chunk + 1,
        inputStart: this.position,
        inputEnd: end,
        outputStart: this.outputBytes,
        outputEnd,
        raw: [isRaw],
        starts: [start],
      });
    }
    this.outputBytes = outputEnd;
    return true;
  }
}

function readHeader(
  layout: RangeLayout,
  slab: Uint8Array,
  position: number,
  chunk: number,
): RecordHeader {
  if (isFooterIdent(slab, position)) {
    throw layout.fault('TRUNCATED', `chunk ${chunk}, got a footer`, { chunk });
  }
  try {
    const header = readRecordHeader(slab, position);
    if (header.uncompressedLength > 0) return header;
  } catch (error) {
    throw atChunk(error, layout, chunk);
  }
  throw layout.fault('FORMAT_INVALID', `bytes in chunk ${chunk}, got none`, { chunk });
}
