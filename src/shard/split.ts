import { OrbweaverError } from '../errors.js';
import {
  CHUNK_LOOKUP_ENTRY_BYTES,
  FOOTER_BYTES,
  LOOKUP_ENTRY_BYTES,
  RECORD_BYTES,
  SHARD_MAX_BYTES,
} from './constants.js';
import { xorbRecordBytes } from './records.js';

/** Numbers of the files and xorbs that go into one shard. */
export interface ShardPart {
  readonly files: readonly number[];
  readonly xorbs: readonly number[];
}

/** What {@link planShards} has to know; nothing is read twice, so lists may be made on demand. */
export interface SplitPlanInput {
  readonly fileCount: number;
  readonly xorbCount: number;
  /** Bytes of the file's records. */
  fileBytes(file: number): number;
  /** Chunks of the xorb. */
  chunkCount(xorb: number): number;
  /** Numbers of the xorbs (of this input) that the file's terms name; repeats are fine. */
  xorbsOf(file: number): Iterable<number>;
}

/** Sections and footer of an empty shard in its largest form. */
const EMPTY_BYTES = 3 * RECORD_BYTES + FOOTER_BYTES;

/**
 * Deals files and xorbs out to shards of at most `maxBytes`, each xorb beside the first file that
 * names it where that fits; xorbs that no file names come last. Sizes count the largest form
 * (footer and lookup tables), so that any server can keep what it gets.
 *
 * One file cannot be split: a file whose records alone exceed `maxBytes` gets a shard of its own.
 * @throws OrbweaverError `LIMIT_EXCEEDED` when it needs more than 64 MiB
 *
 * @example
 * const parts = planShards({ fileCount: 1, xorbCount: 1, fileBytes: () => 192, chunkCount: () => 3,
 *   xorbsOf: () => [0] }); // [{ files: [0], xorbs: [0] }]
 */
export function planShards(input: SplitPlanInput, maxBytes: number = SHARD_MAX_BYTES): ShardPart[] {
  if (!(Number.isInteger(maxBytes) && maxBytes > 0 && maxBytes <= SHARD_MAX_BYTES)) {
    throw new RangeError(`"maxBytes" expected 1 to ${SHARD_MAX_BYTES}, got ${maxBytes}`);
  }
  const parts: ShardPart[] = [];
  const placed = new Uint8Array(input.xorbCount);
  let files: number[] = [];
  let xorbs: number[] = [];
  let bytes = EMPTY_BYTES;

  function cut(): void {
    if (files.length > 0 || xorbs.length > 0) parts.push({ files, xorbs });
    files = [];
    xorbs = [];
    bytes = EMPTY_BYTES;
  }

  /** Adds to the current shard, or to the next one when it would get too large. */
  function add(list: 'files' | 'xorbs', index: number, size: number): void {
    if (bytes + size > maxBytes) cut();
    if (bytes + size > SHARD_MAX_BYTES) {
      throw new OrbweaverError(
        'LIMIT_EXCEEDED',
        `records of one ${list === 'files' ? 'file' : 'xorb'} expected to fit into a shard of ${SHARD_MAX_BYTES} bytes, need ${bytes + size}`,
        { bytes: bytes + size, maxBytes: SHARD_MAX_BYTES },
      );
    }
    (list === 'files' ? files : xorbs).push(index);
    bytes += size;
  }

  function xorbSize(xorb: number): number {
    const chunks = input.chunkCount(xorb);
    return xorbRecordBytes(chunks) + LOOKUP_ENTRY_BYTES + chunks * CHUNK_LOOKUP_ENTRY_BYTES;
  }

  for (let file = 0; file < input.fileCount; file++) {
    const own: number[] = [];
    let ownBytes = 0;
    for (const xorb of input.xorbsOf(file)) {
      if (placed[xorb] !== 0) continue;
      placed[xorb] = 1;
      own.push(xorb);
      ownBytes += xorbSize(xorb);
    }
    const size = input.fileBytes(file) + LOOKUP_ENTRY_BYTES;
    // All of it into one shard if that is possible at all.
    if (bytes + size + ownBytes > maxBytes && EMPTY_BYTES + size + ownBytes <= maxBytes) cut();
    for (const xorb of own) add('xorbs', xorb, xorbSize(xorb));
    add('files', file, size);
  }
  for (let xorb = 0; xorb < input.xorbCount; xorb++) {
    if (placed[xorb] === 0) add('xorbs', xorb, xorbSize(xorb));
  }
  cut();
  return parts;
}
