import type { ByteRange } from '../client/ports.js';

/**
 * Cuts the asked ranges, in the order asked, out of whatever a server sends: exactly the range, the
 * parts of a multipart response, several ranges joined into one part, the whole object. It needs to
 * know only where each byte stands. What is before the next wanted byte is dropped; what is behind
 * it is not waited for (buffering it could take a whole xorb), so a server that turns the order
 * round leaves ranges over, and they are asked for again.
 */
export class RangeCutter {
  readonly #ranges: readonly ByteRange[];
  #index = 0;
  #position: number;

  /** @throws RangeError when a range is empty or not made of safe integers */
  constructor(ranges: readonly ByteRange[]) {
    for (const [index, { start, end }] of ranges.entries()) {
      if (!Number.isSafeInteger(start) || !Number.isSafeInteger(end) || start < 0 || end <= start) {
        throw new RangeError(`"ranges[${index}]" expected 0 <= start < end, got ${start}, ${end}`);
      }
    }
    this.#ranges = ranges;
    this.#position = ranges[0]?.start ?? 0;
  }

  get done(): boolean {
    return this.#index === this.#ranges.length;
  }

  /** Index of the range that the next wanted byte belongs to. */
  get index(): number {
    return this.#index;
  }

  /** Where the next wanted byte stands in the object, and how many follow it in its range. */
  get next(): { readonly offset: number; readonly lengthBytes: number } {
    const end = this.#ranges[this.#index]?.end ?? this.#position;
    return { offset: this.#position, lengthBytes: end - this.#position };
  }

  /** The next `count` bytes are there, at most those of {@link next}. */
  advance(count: number): void {
    this.#position += count;
    if (this.#position !== this.#ranges[this.#index]?.end) return;
    this.#index++;
    this.#position = this.#ranges[this.#index]?.start ?? this.#position;
  }

  /** True when the next range has been given out in part. */
  get insideRange(): boolean {
    return !this.done && this.#position > (this.#ranges[this.#index] as ByteRange).start;
  }

  /** What is still to come; the first range from where it stopped, or whole. */
  missing(options: { readonly onlyFirst: boolean; readonly wholeFirst: boolean }): ByteRange[] {
    const [first, ...others] = this.#ranges.slice(this.#index);
    if (first === undefined) return [];
    const start = options.wholeFirst ? first.start : this.#position;
    return [{ start, end: first.end }, ...(options.onlyFirst ? [] : others)];
  }
}
