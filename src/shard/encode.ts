import {
  ByteWriter,
  bytesEqual,
  createStepMeter,
  isZero,
  runSteps,
  sortInSteps,
} from '../bytes/index.js';
import { OrbweaverError } from '../errors.js';
import { compareHashes } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import {
  CHUNK_FLAG_GLOBAL_DEDUP,
  FOOTER_BYTES,
  NEVER_EXPIRES,
  RECORD_BYTES,
  SHARD_MAX_BYTES,
} from './constants.js';
import { encodeFooter, FILE_SECTION_OFFSET, shardKeyOf, writeHeader } from './footer.js';
import { HashTable } from './hash-table.js';
import { keyShard } from './key.js';
import { lookupBytes, writeLookupTables } from './lookup-tables.js';
import { fileRecordBytes, writeBookend, writeFile, writeXorb, xorbRecordBytes } from './records.js';
import type { Shard, ShardFile, ShardFooter, ShardVariant, ShardXorb } from './types.js';

/** Options of {@link encodeShard}. */
export interface EncodeShardOptions {
  readonly variant: ShardVariant;
  /** Keyed BLAKE3; only for `keyed` with a `hmacKey`. */
  readonly hasher?: Hasher;
  /** 32 bytes; `keyed` of a plain shard needs it. A shard that is keyed already brings its own. */
  readonly hmacKey?: Uint8Array;
  /** Unix seconds; `keyed` needs it (clients drop the oldest responses first). @default 0 */
  readonly createdAt?: number | bigint;
  /** Unix seconds; `keyed` needs it. @default NEVER_EXPIRES for `local` */
  readonly expiresAt?: number | bigint;
}

/**
 * Writes a shard. Files and xorbs are put in the order of their hash texts, duplicates are dropped
 * (the first stays), offsets and sums are computed: equal content gives equal bytes.
 *
 * | variant | footer | files | lookup tables | chunk flags | for |
 * |---|---|---|---|---|---|
 * | `upload` | no | with verification (required) | no | 0 | registering: client → server |
 * | `keyed` | yes | none | no | 0 | dedup responses: server → client |
 * | `local` | yes | as given | yes | as given | shard caches on disk |
 * | `stored` | yes | as given | no | recomputed | a server's own form; times 0 |
 *
 * Stored flags: the first chunk of each file whose first term names a xorb of this shard, and all
 * flags that were set.
 *
 * @throws TypeError for options that do not fit the variant or the shard
 * @throws RangeError for values that do not fit their fields
 * @throws OrbweaverError `LIMIT_EXCEEDED` above 64 MiB
 *
 * @example
 * const body = encodeShard({ files, xorbs, footer: null }, { variant: 'upload' });
 */
export function encodeShard(shard: Shard, options: EncodeShardOptions): Uint8Array {
  return runSteps(encodeShardInSteps(shard, options));
}

/**
 * The same in steps of some milliseconds, for whoever has others to serve meanwhile.
 *
 * @example
 * const steps = encodeShardInSteps({ files, xorbs, footer: null }, { variant: 'stored' });
 * for (let step = steps.next(); !step.done; step = steps.next()) await pause();
 */
export function* encodeShardInSteps(
  shard: Shard,
  options: EncodeShardOptions,
): Generator<void, Uint8Array> {
  const { variant } = options;
  const isDue = createStepMeter();
  const source = variant === 'keyed' ? keyed(shard, options) : shard;
  if (variant === 'upload' || variant === 'stored') {
    if (shardKeyOf(shard.footer) !== null) {
      throw new TypeError(`"variant" expected keyed or local for a keyed shard, got ${variant}`);
    }
  }
  const files = variant === 'keyed' ? [] : yield* sorted(source.files);
  const xorbs = yield* sorted(source.xorbs);
  const verification = hasVerification(files, variant);
  const flags = yield* chunkFlags(files, xorbs, variant);
  const withFooter = variant !== 'upload';

  let bytes = RECORD_BYTES * 3;
  for (const file of files) {
    bytes += fileRecordBytes(file.terms.length, verification, file.sha256 !== null);
    if (isDue(1)) yield;
  }
  for (const xorb of xorbs) bytes += xorbRecordBytes(xorb.chunkLengths.length);
  if (variant === 'local') bytes += lookupBytes(files, xorbs);
  if (withFooter) bytes += FOOTER_BYTES;
  if (bytes > SHARD_MAX_BYTES) {
    throw new OrbweaverError(
      'LIMIT_EXCEEDED',
      `shard expected at most ${SHARD_MAX_BYTES} bytes, needs ${bytes}`,
      { bytes, maxBytes: SHARD_MAX_BYTES },
    );
  }

  const writer = new ByteWriter(bytes);
  writeHeader(writer, withFooter);
  for (const file of files) {
    yield* writeFile(writer, file, { verification, isDue });
    if (isDue(1)) yield;
  }
  writeBookend(writer);
  const xorbSectionOffset = writer.length;
  for (const [i, xorb] of xorbs.entries()) {
    if (isDue(xorb.chunkLengths.length)) yield;
    writeXorb(writer, xorb, { chunkFlags: flags === null ? null : (flags[i] ?? null) });
  }
  writeBookend(writer);
  if (withFooter) {
    const end = writer.length;
    const tables =
      variant === 'local'
        ? writeLookupTables(writer, files, xorbs, verification)
        : {
            fileLookupOffset: end,
            fileLookupCount: 0,
            xorbLookupOffset: end,
            xorbLookupCount: 0,
            chunkLookupOffset: end,
            chunkLookupCount: 0,
          };
    writer.bytes(
      encodeFooter({
        ...tables,
        fileSectionOffset: FILE_SECTION_OFFSET,
        xorbSectionOffset,
        hmacKey: shardKeyOf(source.footer) ?? new Uint8Array(32),
        ...times(options),
        ...(yield* sums(files, xorbs)),
        footerOffset: writer.length,
      }),
    );
  }
  return writer.finish();
}

/** The shard with keyed hashes, or as it is when it came keyed. */
function keyed(shard: Shard, options: EncodeShardOptions): Shard {
  if (options.createdAt === undefined || options.expiresAt === undefined) {
    throw new TypeError('"createdAt" and "expiresAt" expected for a keyed shard, got none');
  }
  const own = shardKeyOf(shard.footer);
  if (own !== null) {
    if (options.hmacKey !== undefined && !bytesEqual(options.hmacKey, own)) {
      throw new TypeError('"hmacKey" expected the key of the keyed shard, got another');
    }
    return shard;
  }
  if (options.hmacKey === undefined) {
    throw new TypeError('"hmacKey" expected for a keyed shard, got none');
  }
  if (isZero(options.hmacKey)) return { ...shard, files: [] };
  if (options.hasher === undefined) {
    throw new TypeError('"hasher" expected for a keyed shard, got none');
  }
  return keyShard(options.hasher, shard, options.hmacKey);
}

/**
 * In the order of the hash texts, without duplicates. The high half of the first u64 tells almost any
 * two apart, and sorting numbers is several times as quick as looking into two arrays of bytes.
 */
function* sorted<T extends ShardFile | ShardXorb>(items: readonly T[]): Generator<void, T[]> {
  // Of equal ones the first stays: the sort keeps their order.
  const order = yield* sortInSteps(
    items,
    (a, b) =>
      highHalf(a.hash.bytes) - highHalf(b.hash.bytes) ||
      compareHashes(a.hash.bytes, 0, b.hash.bytes, 0),
  );
  const isDue = createStepMeter();
  const unique: T[] = [];
  for (const item of order) {
    const last = unique[unique.length - 1];
    if (last === undefined || !last.hash.equals(item.hash)) unique.push(item);
    if (isDue(1)) yield;
  }
  return unique;
}

function highHalf(hash: Uint8Array): number {
  return (
    (hash[7] as number) * 0x1000000 +
    (((hash[6] as number) << 16) | ((hash[5] as number) << 8) | (hash[4] as number))
  );
}

function hasVerification(files: readonly ShardFile[], variant: ShardVariant): boolean {
  const count = files.filter((file) => file.verification !== null).length;
  if (count === files.length) return true;
  if (count > 0 || variant === 'upload') {
    throw new TypeError(
      `"verification" expected for ${variant === 'upload' ? 'all' : 'all or no'} files, got ${count} of ${files.length}`,
    );
  }
  return false;
}

/** Flags to write per xorb; null = as given in the xorb is not wanted, write 0. */
function* chunkFlags(
  files: readonly ShardFile[],
  xorbs: readonly ShardXorb[],
  variant: ShardVariant,
): Generator<void, Uint32Array[] | null> {
  if (variant === 'upload' || variant === 'keyed') return null;
  if (variant === 'local') return xorbs.map((xorb) => xorb.chunkFlags);
  const numbers = new HashTable();
  for (const xorb of xorbs) numbers.add(xorb.hash.bytes, 0);
  const isDue = createStepMeter();
  const flags = xorbs.map((xorb) => xorb.chunkFlags.slice());
  for (const file of files) {
    if (isDue(1)) yield;
    const first = file.terms[0];
    if (first === undefined) continue;
    const own = flags[numbers.indexOf(first.xorb.bytes, 0)];
    if (own !== undefined && first.chunkStart < own.length) {
      own[first.chunkStart] = ((own[first.chunkStart] ?? 0) | CHUNK_FLAG_GLOBAL_DEDUP) >>> 0;
    }
  }
  return flags;
}

function times(options: EncodeShardOptions): { createdAt: bigint; expiresAt: bigint } {
  if (options.variant === 'stored') return { createdAt: 0n, expiresAt: 0n };
  return {
    createdAt: BigInt(options.createdAt ?? 0),
    expiresAt: BigInt(options.expiresAt ?? NEVER_EXPIRES),
  };
}

function* sums(
  files: readonly ShardFile[],
  xorbs: readonly ShardXorb[],
): Generator<void, Pick<ShardFooter, 'storedBytesOnDisk' | 'materializedBytes' | 'storedBytes'>> {
  const isDue = createStepMeter();
  let materialized = 0;
  for (const file of files) {
    for (const term of file.terms) {
      materialized += term.unpackedBytes;
      if (isDue(1)) yield;
    }
    if (isDue(1)) yield;
  }
  let onDisk = 0;
  let stored = 0;
  for (const xorb of xorbs) {
    onDisk += xorb.serializedBytes;
    for (const length of xorb.chunkLengths) stored += length;
    if (isDue(xorb.chunkLengths.length)) yield;
  }
  return {
    storedBytesOnDisk: BigInt(onDisk),
    materializedBytes: BigInt(materialized),
    storedBytes: BigInt(stored),
  };
}
