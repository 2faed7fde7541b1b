import { OrbweaverError } from '../errors.js';

/**
 * Bounds-checked little-endian reader over a window of bytes. It never copies: `bytes()` is a view.
 * Every read names the field, so that an error says what was cut off and where.
 */
export class ByteReader {
  readonly bytes: Uint8Array;
  /** Next position, in bytes from the start of the window. */
  offset: number;
  readonly #view: DataView;

  constructor(bytes: Uint8Array, offset = 0) {
    this.bytes = bytes;
    this.offset = offset;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Bytes left. */
  get remaining(): number {
    return this.bytes.length - this.offset;
  }

  /** Claims `count` bytes for `field` and returns where they start. @throws `TRUNCATED` */
  #take(count: number, field: string): number {
    const at = this.offset;
    if (count > this.bytes.length - at) {
      throw new OrbweaverError(
        'TRUNCATED',
        `"${field}" expected ${count} bytes at offset ${at}, got ${Math.max(0, this.bytes.length - at)}`,
        { field, offset: at, expected: count },
      );
    }
    this.offset = at + count;
    return at;
  }

  u8(field: string): number {
    return this.#view.getUint8(this.#take(1, field));
  }

  u32(field: string): number {
    return this.#view.getUint32(this.#take(4, field), true);
  }

  u64(field: string): bigint {
    return this.#view.getBigUint64(this.#take(8, field), true);
  }

  /** A u64 that must be a safe integer. @throws `LIMIT_EXCEEDED` */
  u64Number(field: string): number {
    const at = this.offset;
    const value = this.u64(field);
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new OrbweaverError('LIMIT_EXCEEDED', `"${field}" at offset ${at} is ${value}`, {
        field,
        offset: at,
      });
    }
    return Number(value);
  }

  /** A view of the next `count` bytes, valid as long as the window is. */
  view(count: number, field: string): Uint8Array {
    const at = this.#take(count, field);
    return this.bytes.subarray(at, at + count);
  }

  skip(count: number, field: string): void {
    this.#take(count, field);
  }
}
