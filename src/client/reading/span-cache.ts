/** Decoded bytes of a file, from `start` on. */
export interface Span {
  readonly start: number;
  readonly bytes: Uint8Array;
}

/** First byte behind a span. */
function endOf({ start, bytes }: Span): number {
  return start + bytes.length;
}

/**
 * The bytes of a file that were read last, whole chunks as a rule: what was not used for longest goes
 * first. A list: with chunks of 64 KiB the few MiB of it are about a hundred entries.
 */
export class SpanCache {
  readonly #maxBytes: number;
  /** The last used one at the end. */
  readonly #spans: Span[] = [];
  #usedBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** The span that holds the byte at `position`; null: none. */
  find(position: number): Span | null {
    const at = this.#spans.findIndex((span) => span.start <= position && position < endOf(span));
    if (at < 0) return null;
    const [span] = this.#spans.splice(at, 1) as [Span];
    this.#spans.push(span);
    return span;
  }

  /** Where the first span behind `position` starts; `Infinity`: there is none. */
  nextStart(position: number): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { start } of this.#spans) if (start > position) next = Math.min(next, start);
    return next;
  }

  /** Keeps a span, unless it is larger than all of the cache; those that lie in it go. */
  add(span: Span): void {
    if (span.bytes.length > this.#maxBytes) return;
    for (let i = this.#spans.length - 1; i >= 0; i--) {
      const old = this.#spans[i] as Span;
      if (old.start >= span.start && endOf(old) <= endOf(span)) this.#drop(i);
    }
    this.#spans.push(span);
    this.#usedBytes += span.bytes.length;
    while (this.#usedBytes > this.#maxBytes) this.#drop(0);
  }

  clear(): void {
    this.#spans.length = 0;
    this.#usedBytes = 0;
  }

  #drop(index: number): void {
    const [span] = this.#spans.splice(index, 1) as [Span];
    this.#usedBytes -= span.bytes.length;
  }
}
