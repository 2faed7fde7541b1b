/** Bytes and where they start in the output. Own types may carry more (a slab to give back). */
export interface OrderedPiece {
  readonly outputOffset: number;
  readonly bytes: Uint8Array;
}

/**
 * Turns pieces of `[start, end)` that arrive in any order into the order of the output, for sinks
 * that can only append. It holds views and copies nothing: a piece belongs to the assembler from
 * `push` until it comes back from a `push`.
 *
 * Bounded by construction: pieces may not overlap, so at most `end - start` bytes wait.
 *
 * @example
 * const assembler = new OrderedAssembler({ start: 0, end: 6 });
 * assembler.push({ outputOffset: 3, bytes: tail }); // []
 * assembler.push({ outputOffset: 0, bytes: head }); // [head, tail]
 */
export class OrderedAssembler<T extends OrderedPiece = OrderedPiece> {
  readonly #end: number;
  #next: number;
  /** Waiting pieces sorted by offset, descending: the next one is popped from the end. */
  readonly #waiting: T[] = [];

  constructor(span: { readonly start: number; readonly end: number }) {
    if (!(span.start >= 0 && span.end >= span.start)) {
      throw new RangeError(`"span" expected 0 <= start <= end, got ${span.start}, ${span.end}`);
    }
    this.#next = span.start;
    this.#end = span.end;
  }

  /** Offset of the next byte to be given out. */
  get nextOffset(): number {
    return this.#next;
  }

  /**
   * Takes a piece and returns all that is now in order, maybe nothing.
   * @throws RangeError when the piece lies outside of the span or over another piece
   */
  push(piece: T): T[] {
    const start = piece.outputOffset;
    const end = start + piece.bytes.length;
    if (start < this.#next || end > this.#end) {
      throw new RangeError(
        `piece expected inside [${this.#next}, ${this.#end}), got [${start}, ${end})`,
      );
    }
    if (piece.bytes.length === 0) return [piece];
    const at = this.#position(start);
    const later = this.#waiting[at - 1];
    const earlier = this.#waiting[at];
    if (
      (later !== undefined && later.outputOffset < end) ||
      (earlier !== undefined && earlier.outputOffset + earlier.bytes.length > start)
    ) {
      throw new RangeError(`piece [${start}, ${end}) overlaps a piece that was pushed before`);
    }
    this.#waiting.splice(at, 0, piece);
    return this.#release();
  }

  #release(): T[] {
    const ready: T[] = [];
    for (;;) {
      const next = this.#waiting.at(-1);
      if (next === undefined || next.outputOffset !== this.#next) return ready;
      this.#waiting.pop();
      this.#next += next.bytes.length;
      ready.push(next);
    }
  }

  /** Index of the first waiting piece that starts at or before `start` (descending order). */
  #position(start: number): number {
    let low = 0;
    let high = this.#waiting.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#waiting[middle] as T).outputOffset > start) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
