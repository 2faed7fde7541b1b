import { PassThrough, type Readable, type Writable } from 'node:stream';
import type { DownloadProgress, UploadProgress } from '../client/index.js';
import type { CasClient, ShardCache } from '../client/ports.js';
import { type ErrorCode, OrbweaverError } from '../errors.js';
import { MerkleHash } from '../hash/index.js';
import type { KernelTier } from '../kernels/index.js';
import type { CasClientOptions, RetryEvent, TokenSource } from '../transport/index.js';
import type { WorkerPool } from '../workers/index.js';
import type { UploadInput } from './input.js';
import { type ComputeOptions, poolOf } from './options.js';

/** How to weigh stored bytes against the reads of those who download; docs/placement.md. */
export type PlacementName = 'balanced' | 'store-least' | 'read-fast' | 'reference';

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
  /** Certificates of authorities to trust instead of the built-in ones, PEM. */
  readonly ca?: string | undefined;
  /** URL of an HTTP proxy that all requests go through in tunnels. @default none */
  readonly proxy?: string | undefined;
  /**
   * An undici dispatcher that all requests go through instead: for HTTP/2, other sockets, mocks. It is
   * slower, and closing it is its owner's. @default none
   */
  readonly dispatcher?: CasClientOptions['dispatcher'] | undefined;
  /** Takes all requests instead: a gateway's exchange, without a socket between. @default none */
  readonly exchange?: CasClientOptions['exchange'] | undefined;
  /** Sends all requests instead, where there is no Node. @default none */
  readonly fetch?: CasClientOptions['fetch'] | undefined;
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

const PLACEMENT_NAMES: readonly PlacementName[] = [
  'balanced',
  'store-least',
  'read-fast',
  'reference',
];

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
  const { endpoint, placement = 'balanced', shardCacheDir } = options;
  if (!PLACEMENT_NAMES.includes(placement)) {
    throw new RangeError(
      `"placement" expected ${PLACEMENT_NAMES.join(', ')}, got ${String(placement)}`,
    );
  }
  // Both ways of a transfer are loaded when they are first asked for, and workers start meanwhile, if
  // there is work for them: most of a small upload is the loading of code and the start of threads.
  const [pool, cas, cache] = await allOpened(
    poolOf(options, { inThreadBytes: IN_THREAD_BYTES }),
    endpoint === undefined ? null : casOf(endpoint, options),
    shardCacheDir === undefined ? null : cacheOf(shardCacheDir),
  );
  const needCas = (): CasClient => {
    if (cas === null) throw new OrbweaverError('USAGE', '"endpoint" expected a URL, got none');
    return cas;
  };

  return {
    threads: pool.threads,
    tier: pool.kernels.tier,
    upload: async (inputs, uploadOptions = {}) => {
      if (uploadOptions.dryRun !== true) needCas();
      const list = isList(inputs) ? inputs : [inputs];
      const { expectedBytes } = await import('./input.js');
      pool.expectBytes(expectedBytes(list, pool.threads * pool.slabBytes));
      const { runUpload } = await import('./upload.js');
      return runUpload({ cas, pool, cache, placement }, list, uploadOptions);
    },
    download: async (fileHash, downloadOptions) => {
      MerkleHash.parse(fileHash);
      const parts = { cas: needCas(), pool };
      const { runDownload, sinkOf } = await import('./download.js');
      return runDownload(parts, fileHash, await sinkOf(downloadOptions.to), downloadOptions);
    },
    stream: (fileHash, streamOptions = {}) => {
      const pass = new PassThrough({ highWaterMark: STREAM_BUFFER_BYTES });
      const run = async (): Promise<void> => {
        const parts = { cas: needCas(), pool };
        const { runDownload, streamSinkOf } = await import('./download.js');
        await runDownload(parts, fileHash, streamSinkOf(pass, fileHash), streamOptions);
      };
      run().catch((error: unknown) =>
        pass.destroy(error instanceof Error ? error : new Error(String(error))),
      );
      return pass;
    },
    downloadZip: async (entries, zipOptions) => {
      const parts = { cas: needCas(), pool };
      const { runZipDownload } = await import('./download.js');
      return runZipDownload(parts, entries, zipOptions);
    },
    close: async () => {
      await cas?.close();
      await pool.close();
    },
  };
}

/** Enough to keep a reader busy between two slabs. */
const STREAM_BUFFER_BYTES = 256 * 1024;

/**
 * Tasks on the calling thread before there are workers: those of an upload of 2 MiB, which take some 10
 * to 20 ms where a worker would take 50 ms to start.
 */
const IN_THREAD_BYTES = 8 * 1024 * 1024;

/** All three, opened side by side; when one fails, the others are closed. */
async function allOpened(
  opening: Promise<WorkerPool>,
  connecting: Promise<CasClient> | null,
  caching: Promise<ShardCache> | null,
): Promise<[WorkerPool, CasClient | null, ShardCache | null]> {
  try {
    return await Promise.all([opening, connecting, caching]);
  } catch (error) {
    for (const opened of await Promise.allSettled([opening, connecting])) {
      if (opened.status === 'fulfilled') await opened.value?.close();
    }
    await caching?.catch(() => undefined);
    throw error;
  }
}

async function casOf(endpoint: string, options: ClientOptions): Promise<CasClient> {
  const { token, stallTimeoutMs, allowHosts, ca, proxy, dispatcher, exchange, fetch, onRetry } =
    options;
  const { createCasClient } = await import('../transport/index.js');
  return createCasClient({
    endpoint,
    token: token ?? '',
    ...(stallTimeoutMs === undefined ? {} : { stallTimeoutMs }),
    ...(allowHosts === undefined ? {} : { allowHosts }),
    ...(ca === undefined ? {} : { ca }),
    ...(proxy === undefined ? {} : { proxy }),
    ...(dispatcher === undefined ? {} : { dispatcher }),
    ...(exchange === undefined ? {} : { exchange }),
    ...(fetch === undefined ? {} : { fetch }),
    ...(onRetry === undefined ? {} : { onRetry }),
  });
}

async function cacheOf(dir: string): Promise<ShardCache> {
  const { createShardCache } = await import('../io/index.js');
  return createShardCache({ dir });
}

function isList(inputs: UploadInput | readonly UploadInput[]): inputs is readonly UploadInput[] {
  return Array.isArray(inputs);
}
