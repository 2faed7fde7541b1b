/** What a page can load of this module, as an entry point of its own: archives are written, by a CRC-32 of tables. */
import { createTableCrc } from './table-crc.js';
import { type ZipWriter, type ZipWriterOptions, zipWriter } from './zip-writer.js';

export { EntryNames } from './entry-name.js';
export type { ZipWriter } from './zip-writer.js';

/** {@link zipWriter} without anything of Node. */
export function createZipWriter(options: ZipWriterOptions): ZipWriter {
  return zipWriter(options, createTableCrc());
}
