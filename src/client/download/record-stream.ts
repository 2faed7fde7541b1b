import { SCHEME_NONE } from '../../compress/index.js';
import { OrbweaverError } from '../../errors.js';
import type { FetchUse, PlannedFetch } from '../../plan/index.js';
import {
  isFooterIdent,
  RECORD_HEADER_BYTES,
  type RecordHeader,
  readRecordHeader,
  XORB_MAX_CHUNKS,
} from '../../xorb/index.js';

/**
 * Which chunks of one fetched range are still wanted and where they land. The lengths of the chunks
 * come from the record headers as they arrive; each is checked before anything is decoded.
 */
export class RangeLayout {
  readonly rangeIndex: number;
  readonly chunkStart: number;
  readonly chunkEnd: number;
  /** Stored bytes of all its records. */
  readonly storedBytes: number;
  readonly uses: readonly FetchUse[];
  /** Hash string, for errors. */
  readonly xorb: string;
  /** 1 for chunks that no use needs, or whose bytes were handed on already. */
  readonly #settled: Uint8Array;
  /** `#rawStarts[i]`: uncompressed bytes before chunk `chunkStart + i` of the range. */
  readonly #rawStarts: Uint32Array;
  /** Uses by the end of their chunks, to be checked when that chunk's header has been read. */
  readonly #usesByEnd: readonly FetchUse[];
  #checkedUses = 0;

  /** @throws OrbweaverError `LIMIT_EXCEEDED` when the range claims more chunks than a xorb has */
  constructor(fetch: PlannedFetch, rangeIndex: number) {
    const range = fetch.ranges[rangeIndex];
    if (range === undefined) throw new RangeError(`no range ${rangeIndex}`);
    const count = range.chunkEnd - range.chunkStart;
    this.rangeIndex = rangeIndex;
    this.chunkStart = range.chunkStart;
    this.chunkEnd = range.chunkEnd;
    this.storedBytes = range.byteEnd - range.byteStart;
    this.xorb = fetch.xorb.toString();
    if (!(count > 0 && count <= XORB_MAX_CHUNKS)) {
      throw this.fault('LIMIT_EXCEEDED', `1 to ${XORB_MAX_CHUNKS} chunks, got ${count}`);
    }
    this.uses = fetch.uses
      .filter((use) => use.rangeIndex === rangeIndex)
      .sort((a, b) => a.chunkStart - b.chunkStart);
    this.#usesByEnd = [...this.uses].sort((a, b) => a.chunkEnd - b.chunkEnd);
    this.#rawStarts = new Uint32Array(count + 1);
    this.#settled = new Uint8Array(count).fill(1);
    let covered = range.chunkStart;
    for (const use of this.uses) {
      const from = Math.max(use.chunkStart, covered);
      if (use.chunkEnd <= from) continue;
      this.#settled.fill(0, from - range.chunkStart, use.chunkEnd - range.chunkStart);
      covered = use.chunkEnd;
    }
  }

  /** True when the bytes of this chunk have to be decoded (again). */
  wants(chunk: number): boolean {
    return this.#settled[chunk - this.chunkStart] === 0;
  }

  /** True when no chunk is wanted any more. */
  get done(): boolean {
    return !this.#settled.includes(0);
  }

  settle(firstChunk: number, endChunk: number): void {
    this.#settled.fill(1, firstChunk - this.chunkStart, endChunk - this.chunkStart);
  }

  /** The range is read from its start again. */
  restart(): void {
    this.#checkedUses = 0;
  }

  /**
   * Takes in the length that a chunk's header names; chunks come in order.
   * @throws OrbweaverError `SIZE_MISMATCH` when a use does not have the bytes it was promised
   */
  setLength(chunk: number, length: number): void {
    const at = chunk - this.chunkStart;
    this.#rawStarts[at + 1] = (this.#rawStarts[at] as number) + length;
    for (;;) {
      const use = this.#usesByEnd[this.#checkedUses];
      if (use === undefined || use.chunkEnd > chunk + 1) return;
      const bytes = this.rawStart(use.chunkEnd) - this.rawStart(use.chunkStart);
      if (bytes !== use.unpackedBytes) {
        const what = `chunks [${use.chunkStart}, ${use.chunkEnd}) of ${use.unpackedBytes} bytes, got ${bytes}`;
        throw this.fault('SIZE_MISMATCH', what, { chunk: use.chunkStart });
      }
      this.#checkedUses++;
    }
  }

  /** Uncompressed bytes of the range before `chunk`, whose header (or the one before) was read. */
  rawStart(chunk: number): number {
    return this.#rawStarts[chunk - this.chunkStart] as number;
  }

  /** An error that says which xorb it is about. */
  fault(
    code: 'TRUNCATED' | 'FORMAT_INVALID' | 'LIMIT_EXCEEDED' | 'SIZE_MISMATCH',
    expectation: string,
    fields: Readonly<Record<string, number>> = {},
  ): OrbweaverError {
    return new OrbweaverError(code, `xorb ${this.xorb} expected ${expectation}`, {
      xorb: this.xorb,
      ...fields,
    });
  }
}

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
  /**
   * Where the bytes of each chunk will be: at this position of the input slab for one that is stored
   * as it is, at `-1 - position` of the output slab for one that is decoded.
   */
  readonly places: number[];
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
        const room = `records of at most ${this.#slabBytes} bytes (give it more memory)`;
        throw layout.fault('LIMIT_EXCEEDED', `${room}, got ${end}`, { chunk: next });
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

  /** Adds one record to the runs when it is wanted; false when the output slab has no room. */
  #take(layout: RangeLayout, chunk: number, end: number, header: RecordHeader): boolean {
    if (!layout.wants(chunk)) return true;
    const isRaw = header.scheme === SCHEME_NONE;
    const outputEnd = this.outputBytes + (isRaw ? 0 : header.uncompressedLength);
    if (outputEnd > this.#slabBytes) return false;
    const place = isRaw ? this.position + RECORD_HEADER_BYTES : -1 - this.outputBytes;
    const last = this.runs.at(-1);
    if (last?.layout === layout && last.chunkEnd === chunk) {
      last.chunkEnd = chunk + 1;
      last.inputEnd = end;
      last.outputEnd = outputEnd;
      last.places.push(place);
    } else {
      this.runs.push({
        layout,
        chunkStart: chunk,
        chunkEnd: chunk + 1,
        inputStart: this.position,
        inputEnd: end,
        outputStart: this.outputBytes,
        outputEnd,
        places: [place],
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

/** The same error with the xorb and the chunk it is about. */
export function atChunk(error: unknown, layout: RangeLayout, chunk: number): unknown {
  if (!(error instanceof OrbweaverError)) return error;
  return new OrbweaverError(
    error.code,
    `xorb ${layout.xorb} chunk ${chunk}: ${error.message}`,
    { ...error.fields, xorb: layout.xorb, chunk },
    error,
  );
}
