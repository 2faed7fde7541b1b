import { OrbweaverError } from '../errors.js';
import { decodeFooter } from './footer.js';
import type { XorbInfo } from './info.js';
import { readRecordTable } from './record-table.js';

/** A stored xorb whose footer and record headers agree. */
export interface StoredXorb extends XorbInfo {
  /** Version of the footer that was found. */
  readonly version: 0 | 1;
  /** Bytes of the records: `bytes.subarray(0, recordsBytes)` is what an upload would carry. */
  readonly recordsBytes: number;
  readonly footerBytes: number;
}

/**
 * Reads a whole stored xorb: the footer from the end, then the header of every record, and holds
 * the two against each other. Payloads are neither decoded nor hashed (`verifyXorb` does).
 * Lengths that a footer of version 0 lacks come from the headers.
 *
 * @throws OrbweaverError as `decodeFooter` and `readRecordHeader`; `FORMAT_INVALID` when footer and
 * records differ
 */
export function readStoredXorb(bytes: Uint8Array): StoredXorb {
  const footer = decodeFooter(bytes);
  const recordsBytes = bytes.length - footer.footerBytes;
  const table = readRecordTable(bytes, 0, recordsBytes);
  checkEnds('chunk count', Uint32Array.of(footer.recordEnds.length), Uint32Array.of(table.count));
  checkEnds('record end', footer.recordEnds, table.recordEnds);
  if (footer.rawEnds !== null) checkEnds('raw end', footer.rawEnds, table.rawEnds);
  return {
    version: footer.version,
    hash: footer.hash,
    chunkHashes: footer.chunkHashes,
    recordEnds: table.recordEnds,
    rawEnds: table.rawEnds,
    nonce: footer.nonce ?? undefined,
    recordsBytes,
    footerBytes: footer.footerBytes,
  };
}

/** Throws when a list of the footer is not the one of the records (both of the same length). */
export function checkEnds(field: string, ofFooter: Uint32Array, ofRecords: Uint32Array): void {
  for (let i = 0; i < ofRecords.length; i++) {
    if (ofFooter[i] !== ofRecords[i]) {
      throw new OrbweaverError(
        'FORMAT_INVALID',
        `"${field}" ${i} of the footer expected ${ofRecords[i]}, got ${ofFooter[i]}`,
        { field, index: i },
      );
    }
  }
}
