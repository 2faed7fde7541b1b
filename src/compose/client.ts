import { PassThrough, type Readable, type Writable } from 'node:stream';
import { createZipWriter, safeEntryName } from '../archive/index.js';
import {
  createUploadSession,
  type DownloadProgress,
  downloadFile,
  type UploadProgress,
} from '../client/index.js';
import type { CasClient, ShardCache, Sink } from '../client/ports.js';
import {
  createPricedPlacement,
  createReferencePlacement,
  createStoreLeastPlacement,
  type PlacementPolicy,
} from '../dedup/index.js';
import { ERROR_CODES, type ErrorCode, isOrbweaverError, OrbweaverError } from '../errors.js';
import { MerkleHash } from '../hash/index.js';
import { createShardCache, outputSink, streamSink } from '../io/index.js';
import type { KernelTier } from '../kernels/index.js';
import { createCasClient, type RetryEvent, type TokenSource } from '../transport/index.js';
import { addZipEntries } from './expand-zip.js';
import { givenSha256, inputName, toSource, type UploadInput } from './input.js';
import { type ComputeOptions, poolOf } from './options.js';

/** How to weigh stored bytes against the reads of those who download; docs/placement.md. */
export type PlacementName = 'balanced' | 'store-least' | 'reference';

/** What {@link createClient} is told. */
export interface ClientOptions extends ComputeOptions {
  /** Base URL of the store. Without one only dry runs work. */
  readonly endpoint?: string | undefined;
  /** Bearer token, or where to get one and a newer one. @default none is sent */
  readonly token?: string | TokenSource | undefined;
  /** @default 'balanced' */
  readonly placement?: PlacementName | undefined;
  /** Folder that remembers shards between runs, to dedup without asking. @default none */
  readonly shardCacheDir?: string | undefined;
  /** Silence after which a connection is given up and the request repeated, ms. @default 30000 */
  readonly stallTimeoutMs?: number | undefined;
  /** Hosts besides the endpoint's that fetch URLs may name although their address is private. */
  readonly allowHosts?: readonly string[] | undefined;
  /** Told of each request that is repeated, and why. */
  readonly onRetry?: ((event: RetryEvent) => void) | undefined;
}

export interface ClientUploadOptions {
  /** Compute each file's SHA-256 in the same pass and register it. @default false */
  readonly sha256?: boolean | undefined;
  /** Inputs are ZIP archives: upload their entries as files, so that they dedup. @default false */
  readonly expand?: boolean | undefined;
  /** Do everything but send. Asks the store what it has, if there is one. @default false */
  readonly dryRun?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: UploadProgress) => void) | undefined;
}

/** One uploaded file. Bytes are those of the file, uncompressed. */
export interface UploadedFile {
  readonly path: string;
  readonly sizeBytes: number;
  /** 64 digits: what a download asks for. */
  readonly fileHash: string;
  /** Lower-case hex; null when not asked for. */
  readonly sha256: string | null;
  readonly chunkCount: number;
  readonly termCount: number;
  readonly newBytes: number;
  /** Known before: the sum of the three that follow. */
  readonly dedupedBytes: number;
  readonly sessionBytes: number;
  readonly localBytes: number;
  readonly globalBytes: number;
}

/** One file that could not be uploaded; the others were. */
export interface FailedUpload {
  readonly path: string;
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
  readonly exitCode: number;
}

export interface UploadResult {
  /** In the order of the inputs. */
  readonly files: readonly UploadedFile[];
  readonly failed: readonly FailedUpload[];
  /** Xorbs sent, and their serialized bytes. */
  readonly xorbCount: number;
  readonly xorbBytes: number;
  readonly shardCount: number;
  readonly shardBytes: number;
  readonly wallMs: number;
}

export interface ClientDownloadOptions {
  /** A path, or a Node stream that is written in order and checked at its end. */
  readonly to: string | Writable;
  /** First byte of a range. @default 0 */
  readonly offset?: number | undefined;
  /** Bytes of a range; cut at the end of the file. @default all that follow */
  readonly length?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: DownloadProgress) => void) | undefined;
}

export interface DownloadResult {
  /** Bytes written. */
  readonly sizeBytes: number;
  /** Bytes of xorbs that came over the wire. */
  readonly fetchedBytes: number;
  readonly requestCount: number;
  readonly wallMs: number;
}

/** One file of a ZIP that is made of downloads. */
export interface ZipEntryRequest {
  readonly hash: string;
  /** Path inside the archive. */
  readonly name: string;
}

/** Uploads and downloads over one pool of workers and one set of connections. */
export interface OrbweaverClient {
  /** Worker threads; 0: everything runs on the calling thread. */
  readonly threads: number;
  readonly tier: KernelTier;
  /**
   * Uploads any number of files as one session. A file that fails is in `failed`, the others go on.
   * @throws OrbweaverError when the session as a whole fails: `AUTH_REQUIRED`, `NETWORK`, `ABORTED`…
   */
  upload(
    inputs: UploadInput | readonly UploadInput[],
    options?: ClientUploadOptions,
  ): Promise<UploadResult>;
  /**
   * Rebuilds a file or a range of it. A path gets its name only after all checks.
   * @throws OrbweaverError `HASH_INVALID`, `NOT_FOUND`, `INTEGRITY`, `RANGE_INVALID`, `DISK_FULL`…
   */
  download(fileHash: string, options: ClientDownloadOptions): Promise<DownloadResult>;
  /** The same as a readable stream, which ends with an error when a check fails. */
  stream(fileHash: string, options?: Omit<ClientDownloadOptions, 'to'>): Readable;
  /** Streams several files into one ZIP archive as they are rebuilt. */
  downloadZip(
    entries: readonly ZipEntryRequest[],
    options: Omit<ClientDownloadOptions, 'offset' | 'length'>,
  ): Promise<DownloadResult>;
  /** Ends workers and connections; what still runs is cancelled. */
  close(): Promise<void>;
}

const PLACEMENTS: Readonly<Record<PlacementName, () => PlacementPolicy>> = {
  balanced: createPricedPlacement,
  'store-least': createStoreLeastPlacement,
  reference: createReferencePlacement,
};

/** Our own shards stay usable for three weeks, as those of the reference client do. */
const SHARD_LIFETIME_SECONDS = 21 * 24 * 60 * 60;

/**
 * A ready client: workers, connections, files.
 *
 * @throws RangeError, TypeError for wrong options; OrbweaverError `KERNEL_UNAVAILABLE`
 * @example
 * const client = await createClient({ endpoint: 'http://127.0.0.1:8080', token });
 * const { files } = await client.upload(['model.safetensors'], { sha256: true });
 * await client.download(files[0].fileHash, { to: 'copy.safetensors' });
 * await client.close();
 */
export async function createClient(options: ClientOptions = {}): Promise<OrbweaverClient> {
  const placement = PLACEMENTS[options.placement ?? 'balanced'];
  if (placement === undefined) {
    throw new RangeError(
      `"placement" expected ${Object.keys(PLACEMENTS).join(', ')}, got ${options.placement}`,
    );
  }
  const cas = casOf(options);
  const pool = await poolOf(options);
  const cache: ShardCache | null =
    options.shardCacheDir === undefined
      ? null
      : await createShardCache({ dir: options.shardCacheDir });
  const needCas = (): CasClient => {
    if (cas === null) throw new OrbweaverError('USAGE', '"endpoint" expected a URL, got none');
    return cas;
  };

  const upload = async (
    inputs: UploadInput | readonly UploadInput[],
    uploadOptions: ClientUploadOptions = {},
  ): Promise<UploadResult> => {
    const { dryRun = false, expand = false, sha256 = false, signal, onProgress } = uploadOptions;
    if (!dryRun) needCas();
    const startedAt = performance.now();
    const learnt: Uint8Array[] = [];
    const session = createUploadSession({
      cas,
      pool,
      hasher: pool.kernels.hasher,
      options: {
        dryRun,
        signal,
        onProgress,
        placement: placement(),
        ...(cache === null ? {} : { onShard: (shard) => learnt.push(shard) }),
      },
    });
    const failures: FailedUpload[] = [];
    try {
      if (cache !== null) await learn(cache, session.addKnownShard);
      for (const input of isList(inputs) ? inputs : [inputs]) {
        try {
          if (expand) {
            await addZipEntries(input, (entry) => session.add(entry, { sha256 }), signal);
            continue;
          }
          const source = await toSource(input);
          // A file's own failure is in the summary; nobody has to wait for it here.
          session.add(source, { sha256: givenSha256(input) ?? sha256 }).catch(() => {});
        } catch (error) {
          failures.push(failedUpload(inputName(input), error));
        }
      }
      const summary = await session.finish();
      const expiry = Math.floor(Date.now() / 1000) + SHARD_LIFETIME_SECONDS;
      for (const shard of learnt) await cache?.put(shard, expiry);
      return {
        files: summary.files.map(({ name, fileHash, ...file }) => ({
          path: name,
          ...file,
          fileHash: fileHash.toString(),
        })),
        failed: [
          ...failures,
          ...summary.failed.map(({ name, error }) => failedUpload(name, error)),
        ],
        xorbCount: summary.xorbCount,
        xorbBytes: summary.xorbBytes,
        shardCount: summary.shardCount,
        shardBytes: summary.shardBytes,
        wallMs: performance.now() - startedAt,
      };
    } catch (error) {
      session.abort(error);
      throw error;
    }
  };

  const downloadTo = async (
    fileHash: string,
    sink: Sink,
    { offset, length, signal, onProgress }: Omit<ClientDownloadOptions, 'to'>,
  ): Promise<DownloadResult> => {
    const startedAt = performance.now();
    const result = await downloadFile({
      cas: needCas(),
      pool,
      hasher: pool.kernels.hasher,
      fileHash: MerkleHash.parse(fileHash),
      sink,
      ...(offset === undefined && length === undefined
        ? {}
        : { range: { offset: offset ?? 0, length } }),
      signal,
      onProgress,
    });
    return { ...result, wallMs: performance.now() - startedAt };
  };

  const stream = (
    fileHash: string,
    streamOptions: Omit<ClientDownloadOptions, 'to'> = {},
  ): Readable => {
    const pass = new PassThrough({ highWaterMark: STREAM_BUFFER_BYTES });
    downloadTo(fileHash, streamSink(pass, { name: fileHash }), streamOptions).catch(
      (error: unknown) => pass.destroy(error instanceof Error ? error : new Error(String(error))),
    );
    return pass;
  };

  const downloadZip = async (
    entries: readonly ZipEntryRequest[],
    zipOptions: Omit<ClientDownloadOptions, 'offset' | 'length'>,
  ): Promise<DownloadResult> => {
    const startedAt = performance.now();
    // Wrong hashes and names are found before the first byte is fetched.
    for (const { hash, name } of entries) {
      MerkleHash.parse(hash);
      safeEntryName(name);
    }
    const target = await sinkOf(zipOptions.to);
    let position = 0;
    const writer = createZipWriter({
      write: async (bytes) => {
        await target.write(bytes, position);
        position += bytes.length;
      },
    });
    let fetchedBytes = 0;
    let requestCount = 0;
    let doneBytes = 0;
    try {
      for (const { hash, name } of entries) {
        const result = await downloadTo(hash, writer.entry(name), {
          signal: zipOptions.signal,
          onProgress: (progress) =>
            zipOptions.onProgress?.({
              writtenBytes: doneBytes + progress.writtenBytes,
              fetchedBytes: fetchedBytes + progress.fetchedBytes,
              totalBytes: undefined,
            }),
        });
        doneBytes += result.sizeBytes;
        fetchedBytes += result.fetchedBytes;
        requestCount += result.requestCount;
      }
      await writer.finish();
      await target.commit(position);
      return {
        sizeBytes: position,
        fetchedBytes,
        requestCount,
        wallMs: performance.now() - startedAt,
      };
    } catch (error) {
      await target.abort();
      throw error;
    }
  };

  return {
    threads: pool.threads,
    tier: pool.kernels.tier,
    upload,
    download: async (fileHash, downloadOptions) => {
      MerkleHash.parse(fileHash);
      needCas();
      return downloadTo(fileHash, await sinkOf(downloadOptions.to), downloadOptions);
    },
    stream,
    downloadZip,
    close: async () => {
      await cas?.close();
      await pool.close();
    },
  };
}

/** Enough to keep a reader busy between two slabs. */
const STREAM_BUFFER_BYTES = 256 * 1024;

function casOf(options: ClientOptions): CasClient | null {
  const { endpoint, token, stallTimeoutMs, allowHosts, onRetry } = options;
  if (endpoint === undefined) return null;
  return createCasClient({
    endpoint,
    token: token ?? '',
    ...(stallTimeoutMs === undefined ? {} : { stallTimeoutMs }),
    ...(allowHosts === undefined ? {} : { allowHosts }),
    ...(onRetry === undefined ? {} : { onRetry }),
  });
}

function sinkOf(to: string | Writable): Promise<Sink> | Sink {
  return typeof to === 'string' ? outputSink(to) : streamSink(to);
}

function isList(inputs: UploadInput | readonly UploadInput[]): inputs is readonly UploadInput[] {
  return Array.isArray(inputs);
}

/** What the cache knows; a shard that cannot be used is dropped from it. */
async function learn(cache: ShardCache, add: (shard: Uint8Array) => unknown): Promise<void> {
  for await (const shard of cache.load(Math.floor(Date.now() / 1000))) {
    try {
      add(shard.bytes);
    } catch {
      await shard.drop();
    }
  }
}

function failedUpload(path: string, error: unknown): FailedUpload {
  if (!isOrbweaverError(error)) throw error;
  const { code, message, hint } = error;
  return { path, code, message, hint, exitCode: ERROR_CODES[code].exitCode };
}
