/**
 * CRC-64/NVME, the checksum that upload grants and S3 (`x-amz-checksum-crc64nvme`) take for a
 * serialized xorb.
 *
 * Width 64, polynomial 0xad93d23594c93659, reflected both ways, start and final XOR all ones. The
 * register lies in two halves of 32 bits, because BigInt would allocate for every byte, and eight
 * bytes are taken in one step ("slicing by 8": table k holds what a byte does that has k more bytes
 * of zeros behind it).
 */

/** The polynomial bit-reversed, as table code needs it, in two halves. */
const POLYNOMIAL_HIGH = 0x9a6c9329;
const POLYNOMIAL_LOW = 0xac4bc9b5;
const SLICES = 8;

/**
 * The checksum of bytes that come in pieces.
 *
 * @example
 * new Crc64Nvme().update(Uint8Array.of(1, 2)).update(Uint8Array.of(3)).digest(); // bigint
 */
export class Crc64Nvme {
  // 32 KiB a piece, made here (2048 steps) so that importing computes nothing.
  readonly #tableLow: Int32Array = new Int32Array(256 * SLICES);
  readonly #tableHigh: Int32Array = new Int32Array(256 * SLICES);
  #low = -1;
  #high = -1;

  constructor() {
    fillTables(this.#tableLow, this.#tableHigh);
  }

  /** Takes the next bytes (borrowed for the call). */
  update(bytes: Uint8Array): this {
    const tableLow = this.#tableLow;
    const tableHigh = this.#tableHigh;
    let low = this.#low;
    let high = this.#high;
    let at = 0;
    for (const end = bytes.length - 7; at < end; at += 8) {
      const a = 1792 + ((low & 255) ^ (bytes[at] as number));
      const b = 1536 + (((low >>> 8) & 255) ^ (bytes[at + 1] as number));
      const c = 1280 + (((low >>> 16) & 255) ^ (bytes[at + 2] as number));
      const d = 1024 + ((low >>> 24) ^ (bytes[at + 3] as number));
      const e = 768 + ((high & 255) ^ (bytes[at + 4] as number));
      const f = 512 + (((high >>> 8) & 255) ^ (bytes[at + 5] as number));
      const g = 256 + (((high >>> 16) & 255) ^ (bytes[at + 6] as number));
      const h = (high >>> 24) ^ (bytes[at + 7] as number);
      low =
        (tableLow[a] as number) ^
        (tableLow[b] as number) ^
        (tableLow[c] as number) ^
        (tableLow[d] as number) ^
        (tableLow[e] as number) ^
        (tableLow[f] as number) ^
        (tableLow[g] as number) ^
        (tableLow[h] as number);
      high =
        (tableHigh[a] as number) ^
        (tableHigh[b] as number) ^
        (tableHigh[c] as number) ^
        (tableHigh[d] as number) ^
        (tableHigh[e] as number) ^
        (tableHigh[f] as number) ^
        (tableHigh[g] as number) ^
        (tableHigh[h] as number);
    }
    for (; at < bytes.length; at++) {
      const index = (low & 255) ^ (bytes[at] as number);
      low = ((low >>> 8) | (high << 24)) ^ (tableLow[index] as number);
      high = (high >>> 8) ^ (tableHigh[index] as number);
    }
    this.#low = low;
    this.#high = high;
    return this;
  }

  /** The checksum of everything so far; more may follow. Grants want it as decimal text. */
  digest(): bigint {
    return (BigInt(~this.#high >>> 0) << 32n) | BigInt(~this.#low >>> 0);
  }
}

/**
 * CRC-64/NVME of `bytes`.
 *
 * @example
 * crc64nvme(new Uint8Array(0)); // 0n
 */
export function crc64nvme(bytes: Uint8Array): bigint {
  return new Crc64Nvme().update(bytes).digest();
}

function fillTables(tableLow: Int32Array, tableHigh: Int32Array): void {
  for (let byte = 0; byte < 256; byte++) {
    let low = byte;
    let high = 0;
    for (let bit = 0; bit < 8; bit++) {
      const out = low & 1;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (out === 1) {
        low ^= POLYNOMIAL_LOW;
        high ^= POLYNOMIAL_HIGH;
      }
    }
    tableLow[byte] = low;
    tableHigh[byte] = high;
  }
  for (let i = 256; i < 256 * SLICES; i++) {
    const low = tableLow[i - 256] as number;
    const high = tableHigh[i - 256] as number;
    tableLow[i] = ((low >>> 8) | (high << 24)) ^ (tableLow[low & 255] as number);
    tableHigh[i] = (high >>> 8) ^ (tableHigh[low & 255] as number);
  }
}
