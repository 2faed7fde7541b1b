/** Arrays of numbers and bytes that grow, for lists whose length is not known. Views are borrowed. */

/** A growing list of u32. */
export class GrowableU32 {
  #values: Uint32Array = new Uint32Array(16);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** Memory held. */
  get memoryBytes(): number {
    return this.#values.byteLength;
  }

  push(value: number): void {
    this.#reserve(this.#length + 1);
    this.#values[this.#length++] = value;
  }

  pushAll(values: Uint32Array): void {
    this.#reserve(this.#length + values.length);
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

  #reserve(length: number): void {
    if (length <= this.#values.length) return;
    const grown = new Uint32Array(Math.max(length, this.#values.length * 2));
    grown.set(this.#values);
    this.#values = grown;
  }
}

const NO_BYTES = new Uint8Array(0);

/** A growing byte string. It starts with what comes first: that of a small file never grows. */
export class GrowableBytes {
  #bytes: Uint8Array = NO_BYTES;
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
    if (end > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(end, this.#bytes.length * 2));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
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
