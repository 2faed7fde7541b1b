import { isOrbweaverError, OrbweaverError } from '../../errors.js';
import type { FetchUse, PlannedFetch } from '../../plan/index.js';
import { XORB_MAX_CHUNKS } from '../../xorb/index.js';

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
    code: 'TRUNCATED' | 'FORMAT_INVALID' | 'LIMIT_EXCEEDED' | 'SIZE_MISMATCH' | 'INTEGRITY',
    expectation: string,
    fields: Readonly<Record<string, number>> = {},
  ): OrbweaverError {
    return new OrbweaverError(code, `xorb ${this.xorb} expected ${expectation}`, {
      xorb: this.xorb,
      ...fields,
    });
  }
}

/** The same error with the xorb and the chunk it is about. */
export function atChunk(error: unknown, layout: RangeLayout, chunk: number): unknown {
  if (!isOrbweaverError(error)) return error;
  return new OrbweaverError(
    error.code,
    `xorb ${layout.xorb} chunk ${chunk}: ${error.message}`,
    { ...error.fields, xorb: layout.xorb, chunk },
    error,
  );
}
