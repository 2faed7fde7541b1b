import { bytesEqual, MAX_CHUNK_BYTES } from '../bytes/index.js';
import { SCHEME_NONE } from '../compress/index.js';
import type { BlockCodec } from '../compress/ports.js';
import { OrbweaverError } from '../errors.js';
import { DATA_KEY, HASH_BYTES, type MerkleHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import { decodeRecords } from './decode-records.js';
import { decodeFooter } from './footer.js';
import { RECORD_HEADER_BYTES } from './limits.js';
import type { RecordKernels } from './ports.js';
import { SCHEME_OFFSET } from './record-header.js';
import type { RecordTable } from './record-table.js';
import { checkXorbRoot, readXorbRecords, type VerifiedXorb } from './root-check.js';
import { checkEnds } from './stored.js';

/** Scratch that {@link verifyXorb} likes: a grouped chunk and eight decoded ones. */
export const VERIFY_SCRATCH_BYTES: number = 9 * MAX_CHUNK_BYTES;
/** Records that kernels are asked for at a time. */
const KERNEL_RECORDS = 512;
/** With less it does not work. */
const MIN_SCRATCH_BYTES = 2 * MAX_CHUNK_BYTES;

export interface VerifyOptions {
  readonly codec: BlockCodec;
  readonly hasher: Hasher;
  /** Working memory, at least 256 KiB. Default: {@link VERIFY_SCRATCH_BYTES} allocated here. */
  readonly scratch?: Uint8Array | undefined;
  /** Asked first. What they decline is decoded here. */
  readonly kernels?: RecordKernels | null | undefined;
  /**
   * What to do with bytes behind the records: `ignore` whatever follows the identifier of a footer
   * (an upload; the store writes its own), or `check` that it is a footer that fits (a scrub).
   * @default 'ignore'
   */
  readonly footer?: 'ignore' | 'check' | undefined;
}

/**
 * Verifies a serialized xorb as a store must before it keeps it: walks the records, decodes and
 * hashes every chunk, and computes the root. The result is all that a footer needs. Uncompressed
 * bytes are never held as a whole, so a bomb costs time, not memory.
 *
 * @example
 * const info = verifyXorb({ codec, hasher }, body, MerkleHash.parse(nameInUrl));
 * const stored = concatBytes([body.subarray(0, info.recordsBytes), encodeFooter(info)]);
 *
 * @throws OrbweaverError `INTEGRITY` the root is not `expected`, or a checked footer has other
 * hashes; `FORMAT_INVALID` no chunks at all, or a checked footer has other ends; `LIMIT_EXCEEDED`,
 * `TRUNCATED`, `UNSUPPORTED`, `CHECKSUM_MISMATCH` as the records deserve
 */
export function verifyXorb(
  options: VerifyOptions,
  bytes: Uint8Array,
  expected?: MerkleHash,
): VerifiedXorb {
  const table = readXorbRecords(bytes);
  const chunkHashes = hashChunks(options, bytes, table);
  const verified = checkXorbRoot(options.hasher, table, chunkHashes, expected);
  if (options.footer === 'check' && verified.recordsBytes < bytes.length) {
    checkFooter(bytes.subarray(verified.recordsBytes), verified);
  }
  return verified;
}

/** The hash of every chunk, by kernels where they take it. */
function hashChunks(options: VerifyOptions, bytes: Uint8Array, table: RecordTable): Uint8Array {
  const { count, recordEnds } = table;
  const hashes = new Uint8Array(HASH_BYTES * count);
  const scratch = (): Uint8Array => options.scratch ?? new Uint8Array(VERIFY_SCRATCH_BYTES);
  let decodes: ((first: number, end: number) => void) | null = null;
  for (let first = 0; first < count; ) {
    const last = Math.min(count, first + KERNEL_RECORDS);
    const start = first === 0 ? 0 : (recordEnds[first - 1] as number);
    const job = { input: bytes, start, end: recordEnds[last - 1] as number };
    const run = options.kernels?.hash(DATA_KEY, job) ?? null;
    if (run === null) {
      decodes ??= hasherOfRuns(options, scratch(), bytes, table, hashes);
      decodes(first, last);
    } else hashes.set(run.hashes, HASH_BYTES * first);
    first = last;
  }
  return hashes;
}

/**
 * Decodes as many chunks as scratch holds, hashes them in one call, and so on. Chunks that are stored
 * as they are are hashed where they lie.
 */
function hasherOfRuns(
  options: VerifyOptions,
  scratch: Uint8Array,
  bytes: Uint8Array,
  table: RecordTable,
  hashes: Uint8Array,
): (first: number, end: number) => void {
  if (scratch.length < MIN_SCRATCH_BYTES) {
    throw new RangeError(`"scratch" expected ${MIN_SCRATCH_BYTES} bytes, got ${scratch.length}`);
  }
  const grouped = scratch.subarray(0, MAX_CHUNK_BYTES);
  const decoded = scratch.subarray(MAX_CHUNK_BYTES);
  const { count, rawEnds, recordEnds } = table;
  const ends = new Uint32Array(count);
  const recordStart = (i: number): number => (i === 0 ? 0 : (recordEnds[i - 1] as number));
  const isRaw = (i: number): boolean => bytes[recordStart(i) + SCHEME_OFFSET] === SCHEME_NONE;
  return (from, end) => {
    for (let first = from; first < end; ) {
      const hashesAt = HASH_BYTES * first;
      let last = first;
      if (isRaw(first)) {
        ends[0] = recordEnds[first] as number;
        const start = recordStart(first) + RECORD_HEADER_BYTES;
        options.hasher.keyedMany(DATA_KEY, bytes, start, ends, 1, hashes, hashesAt);
        first++;
        continue;
      }
      const base = first === 0 ? 0 : (rawEnds[first - 1] as number);
      while (last < end && (rawEnds[last] as number) - base <= decoded.length && !isRaw(last)) {
        ends[last - first] = (rawEnds[last] as number) - base;
        last++;
      }
      decodeRecords(
        options.codec,
        grouped,
        { input: bytes, start: 0, table, first, last },
        decoded,
        0,
      );
      options.hasher.keyedMany(DATA_KEY, decoded, 0, ends, last - first, hashes, hashesAt);
      first = last;
    }
  };
}

function checkFooter(bytes: Uint8Array, verified: VerifiedXorb): void {
  const footer = decodeFooter(bytes);
  if (footer.footerBytes !== bytes.length) {
    throw new OrbweaverError(
      'FORMAT_INVALID',
      `"footer" expected ${footer.footerBytes} bytes behind the records, got ${bytes.length}`,
      { field: 'footer', offset: verified.recordsBytes },
    );
  }
  if (!footer.hash.equals(verified.hash) || !bytesEqual(footer.chunkHashes, verified.chunkHashes)) {
    throw new OrbweaverError(
      'INTEGRITY',
      `hashes of the footer expected those of ${verified.hash}, got others of ${footer.hash}`,
      { field: 'footer', expected: verified.hash.toString(), found: footer.hash.toString() },
    );
  }
  checkEnds('record end', footer.recordEnds, verified.recordEnds);
  if (footer.rawEnds !== null) checkEnds('raw end', footer.rawEnds, verified.rawEnds);
}
