import {
  ByteWriter,
  bytesEqual,
  createStepMeter,
  isZero,
  runSteps,
  type Sequence,
} from '../bytes/index.js';
import { OrbweaverError } from '../errors.js';
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
import { filesInOrder, xorbsInOrder } from './order.js';
import { writeBookend, writeFile, writeXorb, xorbRecordBytes } from './records.js';
import type { Shard, ShardFile, ShardFooter, ShardVariant, ShardXorb } from './types.js';

/** A shard whose files need not be objects yet. */
export interface ShardToEncode extends Omit<Shard, 'files'> {
  readonly files: Sequence<ShardFile>;
}

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
  shard: ShardToEncode,
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
  const files = variant === 'keyed' ? [] : yield* filesInOrder(source.files);
  const xorbs = yield* xorbsInOrder(source.xorbs);
  const { flags, materialized, ...seen } = yield* surveyFiles(files, xorbs, variant);
  const verification = hasVerification(seen.verified, files.length, variant);
  const withFooter = variant !== 'upload';

  const termRecords = seen.terms * (verification ? 2 : 1);
  let bytes = RECORD_BYTES * (3 + files.length + termRecords + seen.digests);
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
        materializedBytes: BigInt(materialized),
        ...(yield* xorbSums(xorbs)),
        footerOffset: writer.length,
      }),
    );
  }
  return writer.finish();
}

/** The shard with keyed hashes, or as it is when it came keyed. */
function keyed(shard: ShardToEncode, options: EncodeShardOptions): ShardToEncode {
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
  return keyShard(options.hasher, { ...shard, files: [] }, options.hmacKey);
}

function hasVerification(verified: number, count: number, variant: ShardVariant): boolean {
  if (verified === count) return true;
  if (verified > 0 || variant === 'upload') {
    throw new TypeError(
      `"verification" expected for ${variant === 'upload' ? 'all' : 'all or no'} files, got ${verified} of ${count}`,
    );
  }
  return false;
}

/** What has to be known of all files before one is written; each is looked at once. */
interface Survey {
  readonly terms: number;
  /** Files with range hashes. */
  readonly verified: number;
  /** Files with a SHA-256. */
  readonly digests: number;
  /** Sum of the file sizes. */
  readonly materialized: number;
  /** Flags to write per xorb; null = as given in the xorb is not wanted, write 0. */
  readonly flags: Uint32Array[] | null;
}

function* surveyFiles(
  files: Sequence<ShardFile>,
  xorbs: readonly ShardXorb[],
  variant: ShardVariant,
): Generator<void, Survey> {
  const isDue = createStepMeter();
  const flags = flagsToWrite(xorbs, variant);
  const numbers = new HashTable();
  if (variant === 'stored') for (const xorb of xorbs) numbers.add(xorb.hash.bytes, 0);
  let terms = 0;
  let verified = 0;
  let digests = 0;
  let materialized = 0;
  for (const file of files) {
    terms += file.terms.length;
    if (file.verification !== null) verified++;
    if (file.sha256 !== null) digests++;
    for (const term of file.terms) {
      materialized += term.unpackedBytes;
      if (isDue(1)) yield;
    }
    if (isDue(1)) yield;
    const first = file.terms[0];
    if (variant !== 'stored' || first === undefined) continue;
    const own = flags?.[numbers.indexOf(first.xorb.bytes, 0)];
    if (own !== undefined && first.chunkStart < own.length) {
      own[first.chunkStart] = ((own[first.chunkStart] ?? 0) | CHUNK_FLAG_GLOBAL_DEDUP) >>> 0;
    }
  }
  return { terms, verified, digests, materialized, flags };
}

function flagsToWrite(xorbs: readonly ShardXorb[], variant: ShardVariant): Uint32Array[] | null {
  if (variant === 'upload' || variant === 'keyed') return null;
  return xorbs.map(({ chunkFlags }) => (variant === 'local' ? chunkFlags : chunkFlags.slice()));
}

function times(options: EncodeShardOptions): { createdAt: bigint; expiresAt: bigint } {
  if (options.variant === 'stored') return { createdAt: 0n, expiresAt: 0n };
  return {
    createdAt: BigInt(options.createdAt ?? 0),
    expiresAt: BigInt(options.expiresAt ?? NEVER_EXPIRES),
  };
}

function* xorbSums(
  xorbs: readonly ShardXorb[],
): Generator<void, Pick<ShardFooter, 'storedBytesOnDisk' | 'storedBytes'>> {
  const isDue = createStepMeter();
  let onDisk = 0;
  let stored = 0;
  for (const xorb of xorbs) {
    onDisk += xorb.serializedBytes;
    for (const length of xorb.chunkLengths) stored += length;
    if (isDue(xorb.chunkLengths.length)) yield;
  }
  return { storedBytesOnDisk: BigInt(onDisk), storedBytes: BigInt(stored) };
}
