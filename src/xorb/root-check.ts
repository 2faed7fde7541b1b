import { OrbweaverError } from '../errors.js';
import { type MerkleHash, xorbHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import type { XorbInfo } from './info.js';
import { XORB_ACCEPT_MAX_BYTES } from './limits.js';
import { type RecordTable, readRecordTable } from './record-table.js';

/**
 * The two ends of a verification: what is looked at before any chunk is hashed, and what the hashes
 * have to give. Between them chunks are hashed by whoever verifies, on one thread or on many.
 */

/** What verification learned about a xorb. */
export interface VerifiedXorb extends XorbInfo {
  /** Bytes of the records; a footer, if any, starts there. */
  readonly recordsBytes: number;
}

/**
 * The records of a serialized xorb, up to a footer if there is one.
 *
 * @throws OrbweaverError `LIMIT_EXCEEDED` larger than any xorb; `FORMAT_INVALID` no chunks at all;
 * the errors of `readRecordTable`
 */
export function readXorbRecords(bytes: Uint8Array): RecordTable {
  checkXorbLength(bytes.length);
  const table = readRecordTable(bytes, 0, bytes.length, { footer: 'stop' });
  checkRecordCount(table.count);
  return table;
}

/** @throws OrbweaverError `LIMIT_EXCEEDED` larger than any xorb */
export function checkXorbLength(lengthBytes: number): void {
  if (lengthBytes <= XORB_ACCEPT_MAX_BYTES) return;
  throw new OrbweaverError(
    'LIMIT_EXCEEDED',
    `"xorb" expected at most ${XORB_ACCEPT_MAX_BYTES} bytes, got ${lengthBytes}`,
    { field: 'xorb' },
  );
}

/** @throws OrbweaverError `FORMAT_INVALID` no chunks at all */
export function checkRecordCount(count: number): void {
  if (count > 0) return;
  throw new OrbweaverError('FORMAT_INVALID', '"chunk count" expected at least 1, got 0', {
    field: 'chunk count',
  });
}

/**
 * Computes the root over the chunk hashes and compares it.
 *
 * @param chunkHashes 32 bytes per record of `table`, computed from the decoded chunks
 * @throws OrbweaverError `INTEGRITY` when the root is not `expected`
 */
export function checkXorbRoot(
  hasher: Hasher,
  table: RecordTable,
  chunkHashes: Uint8Array,
  expected?: MerkleHash,
): VerifiedXorb {
  const { recordEnds, rawEnds, end: recordsBytes } = table;
  const lengths = rawEnds.map((end, i) => end - (i === 0 ? 0 : (rawEnds[i - 1] as number)));
  const hash = xorbHash(hasher, chunkHashes, lengths);
  if (expected !== undefined && !hash.equals(expected)) {
    throw new OrbweaverError('INTEGRITY', `"xorb hash" expected ${expected}, got ${hash}`, {
      field: 'xorb hash',
      expected: expected.toString(),
      found: hash.toString(),
    });
  }
  return { hash, chunkHashes, recordEnds, rawEnds, recordsBytes };
}
