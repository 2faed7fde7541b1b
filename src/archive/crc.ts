import { ZipPassThrough } from 'fflate';

/** Running CRC-32 and size of a file. */
export interface CrcCounter {
  update(bytes: Uint8Array): void;
  /** CRC-32 of everything so far; nothing may follow. */
  finish(): number;
  readonly sizeBytes: number;
}

/** fflate does not export its CRC-32, but its entries compute it: one whose output goes nowhere. */
export function createCrcCounter(): CrcCounter {
  const entry = new ZipPassThrough('');
  entry.ondata = () => {};
  return {
    update: (bytes) => entry.push(bytes, false),
    finish() {
      entry.push(new Uint8Array(0), true);
      return entry.crc >>> 0;
    },
    get sizeBytes() {
      return entry.size;
    },
  };
}
