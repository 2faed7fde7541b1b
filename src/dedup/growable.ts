/** Arrays of numbers and bytes that grow, for lists whose length is not known. Views are borrowed. */

/** A growing list of u32. */
export class GrowableU32 {
  #values: Uint32Array = new Uint32Array(16);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#values.length) {
      const grown = new Uint32Array(this.#values.length * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#length++] = value;
  }

  /** The value at `index`, which must be below {@link length}. */
  at(index: number): number {
    return this.#values[index] as number;
  }

  set(index: number, value: number): void {
    this.#values[index] = value;
  }

  /** A copy of exactly the values. */
  toArray(): Uint32Array {
    return this.#values.slice(0, this.#length);
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

  /** A copy of what was pushed. */
  toArray(): Uint8Array {
    return this.#bytes.slice(0, this.#length);
  }

  /** What was pushed: a view, valid until the next push. */
  view(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}
