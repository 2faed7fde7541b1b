import { withRoom } from './growable.js';

/**
 * Little-endian writer that grows by doubling. For headers, footers and shards (KiB to MiB), not
 * for chunk data.
 */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #length = 0;

  constructor(capacity = 256) {
    this.#bytes = new Uint8Array(capacity);
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** Bytes written so far. */
  get length(): number {
    return this.#length;
  }

  /** Makes room and returns its start. Call it before `#bytes` or `#view` is read: they may change. */
  #claim(count: number): number {
    const at = this.#length;
    const roomy = withRoom(this.#bytes, at + count, at);
    if (roomy !== this.#bytes) {
      this.#bytes = roomy;
      this.#view = new DataView(roomy.buffer);
    }
    this.#length = at + count;
    return at;
  }

  u8(value: number): this {
    const at = this.#claim(1);
    this.#view.setUint8(at, value);
    return this;
  }

  u32(value: number): this {
    const at = this.#claim(4);
    this.#view.setUint32(at, value, true);
    return this;
  }

  u64(value: bigint | number): this {
    const at = this.#claim(8);
    this.#view.setBigUint64(at, BigInt(value), true);
    return this;
  }

  bytes(value: Uint8Array): this {
    const at = this.#claim(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  zeros(count: number): this {
    this.#claim(count);
    return this;
  }

  /** What was written: a view, valid until the next write. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}
