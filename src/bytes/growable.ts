/** Arrays of numbers and bytes that grow, for lists whose length is not known. Views are borrowed. */

/**
 * `array` when it has room for `needed` items, else a longer one that begins with the first
 * `keptCount` of it: at least twice as long, so that growing item by item stays linear.
 */
export function withRoom(
  array: Uint8Array<ArrayBuffer>,
  needed: number,
  keptCount?: number,
): Uint8Array<ArrayBuffer>;
export function withRoom(
  array: Uint32Array<ArrayBuffer>,
  needed: number,
  keptCount?: number,
): Uint32Array<ArrayBuffer>;
export function withRoom(
  array: Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer>,
  needed: number,
  keptCount: number = array.length,
): Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer> {
  if (needed <= array.length) return array;
  const length = Math.max(needed, 2 * array.length);
  const grown = array instanceof Uint32Array ? new Uint32Array(length) : new Uint8Array(length);
  grown.set(array.subarray(0, keptCount));
  return grown;
}

/** A growing list of u32. */
export class GrowableU32 {
  #values: Uint32Array<ArrayBuffer> = new Uint32Array(16);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Memory held. */
  get memoryBytes(): number {
    return this.#values.byteLength;
  }

  push(value: number): void {
    this.#values = withRoom(this.#values, this.#length + 1);
    this.#values[this.#length++] = value;
  }

  pushAll(values: Uint32Array): void {
    this.#values = withRoom(this.#values, this.#length + values.length);
    this.#values.set(values, this.#length);
    this.#length += values.length;
  }

  /** The value at `index`, which must be below {@link length}. */
  at(index: number): number {
    return this.#values[index] as number;
  }

  set(index: number, value: number): void {
    this.#values[index] = value;
  }

  /** What was pushed: a view, valid until the next push. */
  view(): Uint32Array {
    return this.#values.subarray(0, this.#length);
  }
}

const NO_BYTES = new Uint8Array(0);

/** A growing byte string. It starts with what comes first: that of a small file never grows. */
export class GrowableBytes {
  #bytes: Uint8Array<ArrayBuffer> = NO_BYTES;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Memory held. */
  get memoryBytes(): number {
    return this.#bytes.length;
  }

  push(bytes: Uint8Array): void {
    const end = this.#length + bytes.length;
    this.#bytes = withRoom(this.#bytes, end, this.#length);
    this.#bytes.set(bytes, this.#length);
    this.#length = end;
  }

  clear(): void {
    this.#length = 0;
  }

  /** The memory itself, longer than {@link length}; valid until the next push. */
  get raw(): Uint8Array {
    return this.#bytes;
  }

  /** What was pushed: a view, valid until the next push. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}
