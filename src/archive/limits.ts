/** Limits of ZIP archives that are read. All of them bound what an archive of a stranger can cost. */
export interface ZipLimits {
  /**
   * Entries, folders included.
   * @default 1048576
   */
  readonly maxEntries: number;
  /**
   * Bytes of one entry when inflated.
   * @default 1099511627776 (1 TiB)
   */
  readonly maxEntryBytes: number;
  /**
   * Bytes of all entries when inflated.
   * @default 1099511627776 (1 TiB)
   */
  readonly maxTotalBytes: number;
  /**
   * Bytes of the central directory, which is held in memory.
   * @default 134217728 (128 MiB)
   */
  readonly maxDirectoryBytes: number;
}

/** What the readers allow unless told otherwise. */
export const DEFAULT_ZIP_LIMITS: ZipLimits = {
  maxEntries: 1024 ** 2,
  maxEntryBytes: 1024 ** 4,
  maxTotalBytes: 1024 ** 4,
  maxDirectoryBytes: 128 * 1024 ** 2,
};

/**
 * Deflate cannot do better than 258 bytes for 2 bits, about 1032 to 1, plus what a block header
 * hides. A larger claim is a lie, found before a byte is inflated.
 */
export function couldInflateTo(compressedBytes: number, sizeBytes: number): boolean {
  return sizeBytes <= compressedBytes * 1032 + 1032;
}
