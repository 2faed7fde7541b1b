import { createCrcCounter } from './crc.js';
import { zipInvalid } from './zip-error.js';

/** Counts an entry's bytes as they are read and compares them with what the archive promised. */
export interface EntryCheck {
  /** @throws OrbweaverError `ZIP_INVALID` as soon as there are more bytes than promised */
  update(bytes: Uint8Array): void;
  /** @throws OrbweaverError `ZIP_INVALID` when size or CRC-32 are not as promised */
  finish(promised: { readonly sizeBytes: number; readonly crc32: number }): void;
  readonly sizeBytes: number;
}

/** @param maxBytes what the entry may have at most: its promised size, or the limit */
export function createEntryCheck(archive: string, entry: string, maxBytes: number): EntryCheck {
  const counter = createCrcCounter();
  return {
    update(bytes) {
      counter.update(bytes);
      if (counter.sizeBytes > maxBytes) {
        throw zipInvalid(archive, `at most ${maxBytes} bytes in "${entry}"`, 'more', { entry });
      }
    },
    finish({ sizeBytes, crc32 }) {
      if (counter.sizeBytes !== sizeBytes) {
        throw zipInvalid(archive, `${sizeBytes} bytes in "${entry}"`, counter.sizeBytes, { entry });
      }
      const got = counter.finish();
      if (got !== crc32) {
        const expected = `CRC-32 ${crc32.toString(16)} of "${entry}"`;
        throw zipInvalid(archive, expected, got.toString(16), { entry });
      }
    },
    get sizeBytes() {
      return counter.sizeBytes;
    },
  };
}
