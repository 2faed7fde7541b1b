import { GEAR_TABLE } from './gear-table.js';
import type { GearScanner } from './ports.js';

/** Bytes that the Gear hash remembers: one is shifted out of its 64 bits after 64 steps. */
export const GEAR_WINDOW_BYTES = 64;

/**
 * The candidate scan in plain TypeScript: the oracle of the kernels and the fallback where
 * WebAssembly may not run. The 64-bit hash lies in two halves of 32 bits, because BigInt would
 * allocate for every byte:
 *
 *     hash = (hash << 1) + table[byte]        low half first, its carry goes into the high half
 *
 * Both halves of the doubled low half plus the constant stay below 2^53, so one float addition
 * holds the sum exactly and the carry (0 to 2) is its part above 2^32.
 */
export function createReadableScanner(): GearScanner {
  const tableLow = new Float64Array(256);
  const tableHigh = new Int32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    const constant = GEAR_TABLE[byte] as bigint;
    tableLow[byte] = Number(constant & 0xffff_ffffn);
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
        const sum = low * 2 + (tableLow[byte] as number);
        low = sum >>> 0;
        high = ((high << 1) + (tableHigh[byte] as number) + (sum - low) / 4294967296) | 0;
      }
      let found = 0;
      for (let i = start; i < end; i++) {
        const byte = data[i] as number;
        const sum = low * 2 + (tableLow[byte] as number);
        low = sum >>> 0;
        high = ((high << 1) + (tableHigh[byte] as number) + (sum - low) / 4294967296) | 0;
        if (high >>> shift === 0) {
          out[found++] = i + 1;
          if (found === out.length) return found;
        }
      }
      return found;
    },
  };
}
