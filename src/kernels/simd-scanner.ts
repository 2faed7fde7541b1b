import type { GearScanner } from '../chunker/ports.js';
import { GEAR_TABLE, LIST, LIST_COUNT, STAGE } from './generated/layout.js';
import { type SimdInstance, wordShift } from './simd-instance.js';

/**
 * Bytes copied at a time when the data lies outside. Small, since a search for the next cut stops
 * at the first candidate and what was copied beyond it was for nothing.
 */
const SCAN_STAGE_BYTES = 32768;

/** A byte leaves the Gear hash after 64 steps, so 63 bytes before a position warm it. */
const WARM_BYTES = 63;

/** The candidate scan by an instance of the kernels. Writes `gearTable` into its scratch space. */
export function createSimdScanner(instance: SimdInstance, gearTable: BigUint64Array): GearScanner {
  if (gearTable.length !== 256) {
    throw new RangeError(`"gearTable" expected 256 values, got ${gearTable.length}`);
  }
  const { exports, scratch } = instance;
  new BigUint64Array(instance.memory.buffer, scratch + GEAR_TABLE, 256).set(gearTable);
  const listAt = scratch + LIST;
  const stageAt = scratch + STAGE;

  return {
    scan(data, start, end, maskBits, out) {
      checkRange(data, start, end, maskBits);
      if (out.length === 0) throw new RangeError('"out" expected room for one position, got none');
      const { buffer, u8, u32 } = instance.views();
      const inPlace = data.buffer === buffer;
      let count = 0;
      let from = start;
      while (from < end && count < out.length) {
        // Positions come out relative to `base`; in place that is the start of `data`.
        let base = data.byteOffset;
        let stop = end;
        let shift = 0;
        if (!inPlace) {
          shift = Math.max(0, from - WARM_BYTES);
          stop = Math.min(end, from + SCAN_STAGE_BYTES);
          const piece = data.subarray(shift, stop);
          base = stageAt + wordShift(piece);
          u8.set(piece, base);
        }
        const capacity = Math.min(out.length - count, LIST_COUNT);
        const found = exports.gearScan(
          base,
          from - shift,
          stop - shift,
          maskBits,
          listAt,
          capacity,
        );
        for (let i = 0; i < found; i++) {
          out[count++] = (u32[(listAt >>> 2) + i] as number) + shift;
        }
        from = found === capacity ? (out[count - 1] as number) : stop;
      }
      return count;
    },
  };
}

function checkRange(data: Uint8Array, start: number, end: number, maskBits: number): void {
  if (!Number.isInteger(start) || !Number.isInteger(end) || start < 0 || end > data.length) {
    throw new RangeError(
      `"start", "end" expected integers in [0, ${data.length}], got ${start}, ${end}`,
    );
  }
  if (!Number.isInteger(maskBits) || maskBits < 1 || maskBits > 63) {
    throw new RangeError(`"maskBits" expected an integer from 1 to 63, got ${maskBits}`);
  }
}
