/** Limits of ZIP archives that are read. A ZIP without ZIP64 cannot pass the first two anyway. */
export interface ZipLimits {
  /**
   * Entries, folders included.
   * @default 65534 (65535 stands for "see ZIP64")
   */
  readonly maxEntries: number;
  /**
   * Bytes of one entry when inflated.
   * @default 4294967294
   */
  readonly maxEntryBytes: number;
  /**
   * Bytes of all entries when inflated.
   * @default 1099511627776 (1 TiB)
   */
  readonly maxTotalBytes: number;
  /**
   * Bytes of the central directory, which is held in memory.
   * @default 33554432 (32 MiB)
   */
  readonly maxDirectoryBytes: number;
}

/** Largest value of a 32-bit size or offset; 0xffffffff stands for "see ZIP64". */
export const ZIP_MAX_BYTES = 0xfffffffe;

/** Largest entry count; 0xffff stands for "see ZIP64". */
export const ZIP_MAX_ENTRIES = 0xfffe;

/** What the readers allow unless told otherwise. */
export const DEFAULT_ZIP_LIMITS: ZipLimits = {
  maxEntries: ZIP_MAX_ENTRIES,
  maxEntryBytes: ZIP_MAX_BYTES,
  maxTotalBytes: 1024 ** 4,
  maxDirectoryBytes: 32 * 1024 * 1024,
};

/**
 * Deflate cannot do better than 258 bytes for 2 bits, about 1032 to 1, plus what a block header
 * hides. A larger claim is a lie, found before a byte is inflated.
 */
export function couldInflateTo(compressedBytes: number, sizeBytes: number): boolean {
  return sizeBytes <= compressedBytes * 1032 + 1032;
}
