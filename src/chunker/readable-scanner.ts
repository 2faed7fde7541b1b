import { GEAR_TABLE } from './gear-table.js';
import type { GearScanner } from './ports.js';

/** Bytes that the Gear hash remembers: one is shifted out of its 64 bits after 64 steps. */
export const GEAR_WINDOW_BYTES = 64;

const SIGN_BIT = 0x8000_0000;

/**
 * The candidate scan in plain TypeScript: the oracle of the kernels and the fallback where
 * WebAssembly may not run. The 64-bit hash lies in two halves of 32 bits, because BigInt would
 * allocate for every byte:
 *
 *     hash = (hash << 1) + table[byte]        low half first, its carry goes into the high half
 *
 * The low halves add up to a 33-bit sum. Its 33rd bit is set exactly when the 32 bits that are left
 * are, read as unsigned, below one of the addends; flipping the sign bit of both makes the signed
 * comparison an unsigned one. (216 MB/s on the reference machine; 133 MB/s with float sums.)
 */
export function createReadableScanner(): GearScanner {
  const tableLow = new Int32Array(256);
  const tableHigh = new Int32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    const constant = GEAR_TABLE[byte] as bigint;
    tableLow[byte] = Number(constant & 0xffff_ffffn) | 0;
    tableHigh[byte] = Number(constant >> 32n) | 0;
  }

  return {
    scan(data, start, end, maskBits, out) {
      if (!(Number.isInteger(maskBits) && maskBits >= 1 && maskBits <= 32)) {
        throw new RangeError(`"maskBits" expected 1 to 32, got ${maskBits}`);
      }
      if (!(start >= 0 && end <= data.length)) {
        throw new RangeError(`[${start}, ${end}) does not lie in ${data.length} bytes`);
      }
      if (out.length === 0) throw new RangeError('"out" expected room for one position, got none');
      const shift = 32 - maskBits;
      let high = 0;
      let low = 0;
      for (let i = Math.max(0, start - (GEAR_WINDOW_BYTES - 1)); i < start; i++) {
        const byte = data[i] as number;
        const doubled = low << 1;
        const sum = (doubled + (tableLow[byte] as number)) | 0;
        const carry = (sum ^ SIGN_BIT) < (doubled ^ SIGN_BIT) ? 1 : 0;
        high = ((high << 1) + (low >>> 31) + (tableHigh[byte] as number) + carry) | 0;
        low = sum;
      }
      let found = 0;
      for (let i = start; i < end; i++) {
        const byte = data[i] as number;
        const doubled = low << 1;
        const sum = (doubled + (tableLow[byte] as number)) | 0;
        const carry = (sum ^ SIGN_BIT) < (doubled ^ SIGN_BIT) ? 1 : 0;
        high = ((high << 1) + (low >>> 31) + (tableHigh[byte] as number) + carry) | 0;
        low = sum;
        if (high >>> shift === 0) {
          out[found++] = i + 1;
          if (found === out.length) return found;
        }
      }
      return found;
    },
  };
}
