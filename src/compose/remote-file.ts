import type { ReadableStream } from 'node:stream/web';
import { FileReader, type VerifyRange } from '../client/downloads.js';
import type { CasClient } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import { type Budget, Scope } from '../flow/index.js';
import { MerkleHash } from '../hash/index.js';
import { memorySink } from '../io/web.js';
import { checkOptions, is, type OptionRules } from '../options/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import type { WorkerPool } from '../workers/web.js';

/** What {@link OrbweaverClient.open} may be told. */
export interface OpenOptions {
  /** Bytes that are kept in memory of what was read last. @default 8388608 */
  readonly cacheBytes?: number | undefined;
  /**
   * Holds what is read against the file hash, as of a download: `auto` where the store offers that, at the
   * cost of a request and about 200 KB for what is not read yet; `require` refuses bytes without such a proof. @default 'off'
   */
  readonly verifyRange?: VerifyRange | undefined;
  /** Cancels the opening; reads have signals of their own. */
  readonly signal?: AbortSignal | undefined;
}

/** What a single read may be told. */
export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
}

/**
 * A part of a stored file, like a `Blob`: nothing is fetched before its bytes are asked for. It is good
 * for as long as the file that it was made from is open.
 */
export interface RemoteSlice {
  /** Bytes. */
  readonly size: number;
  /** As of `Blob`: bytes `[start, end)` of this one, negative ones counted from its end. */
  slice(start?: number, end?: number): RemoteSlice;
  bytes(options?: ReadOptions): Promise<Uint8Array>;
  arrayBuffer(options?: ReadOptions): Promise<ArrayBuffer>;
  /** As UTF-8. */
  text(options?: ReadOptions): Promise<string>;
  stream(options?: ReadOptions): ReadableStream<Uint8Array>;
}

/** A stored file, open for reading anywhere. */
export interface RemoteFile extends RemoteSlice {
  /** 64 digits. */
  readonly fileHash: string;
  /** Everything that was read so far, streams apart, was held against the file hash. */
  readonly verified: boolean;
  /**
   * `length` bytes from `offset` on, an array of the caller's own; fewer where the file ends. For pieces
   * that fit into memory. Bytes of a part are held against the file hash with `verifyRange` only, those of a
   * whole file always.
   * @throws OrbweaverError `RANGE_INVALID` when `offset` is behind the end of the file; `ABORTED`,
   * `CLOSED`; what a download throws, `UNVERIFIED` with `verifyRange: 'require'`
   * @throws RangeError for an offset or a length that is no integer of at least 0
   */
  read(offset: number, length: number, options?: ReadOptions): Promise<Uint8Array>;
  /** Cancels what is on its way, and forgets what was read. Safe to call twice. */
  close(): Promise<void>;
}

/** Of chunks of 64 KiB, some hundred. */
const DEFAULT_CACHE_BYTES: number = 8 * 1024 * 1024;

const RULES: OptionRules<OpenOptions> = {
  cacheBytes: is.integer(0),
  verifyRange: is.oneOf(['auto', 'require', 'off']),
  signal: is.signal,
};

const READ_RULES: OptionRules<ReadOptions> = { signal: is.signal };

/** What opening needs beside what a download does. */
export interface OpenParts {
  readonly cas: CasClient;
  readonly pool: WorkerPool;
  /** What all downloads of a client may hold beside slabs. */
  readonly budget: Budget;
  /** Ranges asked for at a time. @default what moves the most bytes */
  readonly concurrency?: number | undefined;
  /** A stream of bytes `[start, end)`, which ends with an error when it cannot go on. */
  readonly stream: (start: number, end: number, signal: AbortSignal) => ReadableStream<Uint8Array>;
}

/** Opens a stored file. @throws what `OrbweaverClient.open` does */
export async function openFile(
  { cas, pool, budget, stream, concurrency }: OpenParts,
  hash: string,
  options: OpenOptions = {},
): Promise<RemoteFile> {
  checkOptions('open', options, RULES);
  const fileHash = MerkleHash.parse(hash);
  const { cacheBytes = DEFAULT_CACHE_BYTES, verifyRange = 'off', signal } = options;
  const scope = new Scope({ what: 'opening the file', ...(signal && { signal }) });
  let size: number;
  try {
    size = await scope.call((inner) => sizeOf(cas, fileHash, inner));
  } finally {
    scope.close();
  }
  const reader = new FileReader({
    cas,
    pool,
    budget,
    concurrency,
    hasher: pool.kernels.hasher,
    clock: SYSTEM_CLOCK,
    fileHash,
    sizeBytes: size,
    cacheBytes,
    verifyRange,
    createSink: () => memorySink(hash),
  });
  const closing = new AbortController();
  const bytesOf = (start: number, end: number, { signal: own }: ReadOptions): Promise<Uint8Array> =>
    reader.read(start, end, own);

  const sliceOf = (start: number, end: number): RemoteSlice => ({
    size: end - start,
    slice: (from = 0, to = end - start) => {
      const first = start + clamp(from, end - start);
      return sliceOf(first, Math.max(first, start + clamp(to, end - start)));
    },
    bytes: async (given = {}) => bytesOf(start, end, checkOptions('bytes', given, READ_RULES)),
    arrayBuffer: async (given = {}) => {
      const bytes = await bytesOf(start, end, checkOptions('arrayBuffer', given, READ_RULES));
      return bytes.buffer as ArrayBuffer;
    },
    text: async (given = {}) =>
      new TextDecoder().decode(await bytesOf(start, end, checkOptions('text', given, READ_RULES))),
    stream: (given = {}) => {
      const { signal: own } = checkOptions('stream', given, READ_RULES);
      reader.checkOpen();
      const both = own === undefined ? closing.signal : AbortSignal.any([closing.signal, own]);
      return stream(start, end, both);
    },
  });

  return {
    ...sliceOf(0, size),
    fileHash: fileHash.toString(),
    get verified() {
      return reader.isVerified;
    },
    read: async (offset, length, given = {}) => {
      checkOptions('read', given, READ_RULES);
      checkPosition('offset', offset);
      checkPosition('length', length);
      if (offset > size || (offset === size && length > 0)) {
        const message = `"offset" expected a position in the ${size} bytes of the file, got ${offset}`;
        throw new OrbweaverError('RANGE_INVALID', message, { offset, sizeBytes: size });
      }
      return bytesOf(offset, Math.min(size, offset + length), given);
    },
    close: async () => {
      reader.close();
      closing.abort(new OrbweaverError('CLOSED', 'the file was closed'));
    },
  };
}

/** The size from `HEAD`, or, where a server does not offer that, from what the file is made of. */
async function sizeOf(
  cas: OpenParts['cas'],
  fileHash: MerkleHash,
  signal: AbortSignal,
): Promise<number> {
  if (fileHash.isZero()) return 0;
  const told = (await cas.getFileSize?.(fileHash, signal)) ?? null;
  if (told !== null) return told;
  const whole = await cas.getReconstruction(fileHash, undefined, signal);
  return whole?.terms.reduce((sum, term) => sum + term.unpackedBytes, 0) ?? 0;
}

/** As `Blob` does: negative counts from the end, and nothing is beyond it. */
function clamp(position: number, size: number): number {
  const whole = Math.trunc(position) || 0;
  return whole < 0 ? Math.max(0, size + whole) : Math.min(whole, size);
}

/** @throws RangeError */
function checkPosition(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  throw new RangeError(`"${name}" expected an integer of at least 0, got ${value}`);
}
