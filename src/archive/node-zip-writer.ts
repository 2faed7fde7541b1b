import { createCrcCounter } from './crc.js';
import { type ZipWriter, type ZipWriterOptions, zipWriter } from './zip-writer.js';

/** {@link zipWriter} with the CRC-32 of Node. */
export function createZipWriter(options: ZipWriterOptions): ZipWriter {
  return zipWriter(options, createCrcCounter);
}
