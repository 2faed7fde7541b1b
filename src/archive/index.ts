export { EntryNames, safeEntryName } from './entry-name.js';
export { DEFAULT_ZIP_LIMITS, type ZipLimits } from './limits.js';
export { createZipWriter } from './node-zip-writer.js';
export { SEVEN_ZIP_HEAD_BYTES, type StoredFileFacts, sevenZipFrame } from './seven-zip.js';
export { readZipEntries, type ZipEntry } from './zip-reader.js';
export { readZipStream, type ZipStreamEntry } from './zip-stream-reader.js';
export type { ZipSummary, ZipWriter, ZipWriterOptions } from './zip-writer.js';
