/** Files that are fetched many at a time, because requests would take longer than their bytes. */

/** Files up to this size come many at a time, larger ones one by one. */
export const SMALL_FILE_BYTES: number = 1024 * 1024;

/** A batch is closed when it has so many bytes, or so many files: more are refused by the gateway. */
export const BATCH_BYTES: number = 8 * 1024 * 1024;
export const BATCH_FILES = 1000;

/** Files that are written, or looked at, at once. */
export const WRITES = 16;
