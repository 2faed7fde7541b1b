import { resolve } from 'node:path';
import { PassThrough, Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import type { CasClient, ShardCache } from '../client/ports.js';
import { isOrbweaverError, OrbweaverError } from '../errors.js';
import { Budget } from '../flow/index.js';
import { MerkleHash } from '../hash/index.js';
import { checkOptions } from '../options/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import type { CasClientOptions } from '../transport/index.js';
import type { WorkerPool } from '../workers/index.js';
import { withParts } from './client-parts.js';
import {
  CLIENT_RULES,
  DOWNLOAD_RULES,
  PLAN_RULES,
  STREAM_RULES,
  UPLOAD_RULES,
  ZIP_PLAN_RULES,
  ZIP_RULES,
} from './client-rules.js';
import type { ClientOptions, OrbweaverClient } from './client-types.js';
import { crc64 } from './crc64.js';
import { folderMethods } from './folder-client.js';
import { createLimits, ratesOf, type TransferLimits } from './limits.js';
import { poolOf } from './options.js';
import { RETRY_RULES } from './shared-rules.js';
import { tokenOptionOf } from './token-file.js';
import type { UploadState } from './upload.js';
import { withoutUndefined } from './without-undefined.js';

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
export async function createClient(given: ClientOptions = {}): Promise<OrbweaverClient> {
  const isObject = typeof given === 'object' && given !== null;
  const options = isObject ? { endpoint: null, ...given } : given;
  checkOptions('createClient', options, CLIENT_RULES);
  if (options.retry !== undefined) checkOptions('retry', options.retry, RETRY_RULES);
  const { endpoint, placement = 'balanced', concurrency } = options;
  const budget = new Budget({ capacityBytes: RETAINED_BYTES });
  const limits = limitsOf(options);
  // Both ways of a transfer are loaded when they are first asked for, and workers start meanwhile, if
  // there is work for them: most of a small upload is the loading of code and the start of threads.
  const [pool, cas, { cache, problem }] = await allOpened(
    poolOf(options, { inThreadBytes: IN_THREAD_BYTES }),
    endpoint === null ? null : casOf(endpoint, { ...options, limits }, budget),
    cacheOf(options),
  );
  const state = stateOf(options);
  let closing: Promise<void> | null = null;
  const checkOpen = (): void => {
    if (closing !== null) {
      throw new OrbweaverError(
        'CLOSED',
        'the client expected to be open, got a call after close()',
      );
    }
  };
  const needCas = (): CasClient => {
    checkOpen();
    if (cas === null) {
      throw new OrbweaverError(
        'USAGE',
        'the client expected an endpoint for anything but dry runs, got null',
      );
    }
    return cas;
  };

  const client: OrbweaverClient = {
    ...folderMethods({
      uploads: ({ dryRun }) => {
        checkOpen();
        const store = dryRun ? cas : needCas();
        return { cas: store, pool, cache, placement, state, concurrency };
      },
      downloads: () => ({ cas: needCas(), pool, budget, state, concurrency }),
    }),
    threads: pool.threads,
    tier: pool.kernels.tier,
    fallbackReason: pool.kernels.fallbackReason,
    cacheProblem: problem,
    limits,
    upload: async (inputs, uploadOptions = {}) => {
      checkOptions('upload', uploadOptions, UPLOAD_RULES);
      checkOpen();
      if (uploadOptions.dryRun !== true) needCas();
      const { inputList, expectedBytes } = await import('./input.js');
      const list = inputList(inputs);
      void expectedBytes(list, pool.threads * pool.slabBytes).then((bytes) =>
        pool.expectBytes(bytes),
      );
      const { runUpload } = await import('./upload.js');
      return runUpload({ cas, pool, cache, placement, state, concurrency }, list, uploadOptions);
    },
    download: async (fileHash, downloadOptions) => {
      checkOptions('download', downloadOptions, DOWNLOAD_RULES);
      MerkleHash.parse(fileHash);
      const parts = { cas: needCas(), pool, budget, state, concurrency };
      const { runFileDownload } = await import('./download.js');
      return runFileDownload(parts, fileHash, downloadOptions);
    },
    planDownload: async (fileHash, planOptions = {}) => {
      checkOptions('planDownload', planOptions, PLAN_RULES);
      MerkleHash.parse(fileHash);
      const parts = { cas: needCas(), pool, budget, concurrency };
      const { runPlan } = await import('./plan-download.js');
      return runPlan(parts, fileHash, planOptions);
    },
    stream: (fileHash, streamOptions = {}) => {
      checkOptions('stream', streamOptions, STREAM_RULES);
      const pass = new PassThrough({ highWaterMark: STREAM_BUFFER_BYTES });
      const run = async (): Promise<void> => {
        const parts = { cas: needCas(), pool, budget, concurrency };
        const { runDownload, streamSinkOf } = await import('./download.js');
        const { onResult, ...rest } = streamOptions;
        const sink = streamSinkOf(pass, fileHash);
        // The stream ends when the result was told: who has read to its end knows it.
        const unended = { ...sink, commit: async () => {} };
        const result = await runDownload(parts, fileHash, unended, rest);
        onResult?.(result);
        await sink.commit(result.sizeBytes);
      };
      run().catch((error: unknown) =>
        pass.destroy(error instanceof Error ? error : new Error(String(error))),
      );
      return pass;
    },
    edit: async (fileHash, splices, editOptions = {}) => {
      const parts = { cas: needCas(), pool, budget, placement, state, concurrency };
      const { runEdit } = await import('./edit.js');
      return runEdit(parts, fileHash, splices, editOptions);
    },
    append: async (fileHash, input, editOptions = {}) => {
      const parts = { cas: needCas(), pool, budget, placement, state, concurrency };
      const { runEdit } = await import('./edit.js');
      return runEdit(parts, fileHash, [{ offset: 'end', insert: input }], editOptions);
    },
    downloadZip: async (entries, zipOptions) => {
      checkOptions('downloadZip', zipOptions, ZIP_RULES);
      const parts = { cas: needCas(), pool, budget, concurrency };
      const { runZipDownload } = await import('./download.js');
      return runZipDownload(parts, entries, zipOptions);
    },
    planZip: async (entries, zipOptions = {}) => {
      checkOptions('planZip', zipOptions, ZIP_PLAN_RULES);
      const parts = { cas: needCas(), pool, budget, concurrency };
      const { runZipPlan } = await import('./plan-download.js');
      return runZipPlan(parts, entries, zipOptions);
    },
    open: async (fileHash, openOptions) => {
      const parts = { cas: needCas(), pool, budget, concurrency };
      const { openFile } = await import('./remote-file.js');
      const stream = (offset: number, end: number, signal: AbortSignal) =>
        Readable.toWeb(
          client.stream(fileHash, { offset, length: end - offset, signal }),
        ) as ReadableStream<Uint8Array>;
      return openFile({ ...parts, stream }, fileHash, openOptions);
    },
    close: () => {
      closing ??= (async () => {
        await cas?.close();
        await pool.close();
      })();
      return closing;
    },
  };
  return withParts(client, () => ({ cas: needCas(), pool, budget, concurrency }));
}

/** Those that are shared, or the client's own. */
export function limitsOf({ limits, limitUpload, limitDownload }: ClientOptions): TransferLimits {
  if (limits === undefined) return createLimits({ upload: limitUpload, download: limitDownload });
  if (limitUpload === undefined && limitDownload === undefined) return limits;
  throw new TypeError('"limits" excludes "limitUpload" and "limitDownload"');
}

/** What all downloads of a client may hold beside slabs: reconstructions and lists of chunks. */
const RETAINED_BYTES = 32 * 1024 * 1024;

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
  caching: Promise<OpenedCache>,
): Promise<[WorkerPool, CasClient | null, OpenedCache]> {
  try {
    return await Promise.all([opening, connecting, caching]);
  } catch (error) {
    for (const opened of await Promise.allSettled([opening, connecting])) {
      if (opened.status === 'fulfilled') await opened.value?.close();
    }
    throw error;
  }
}

async function casOf(endpoint: string, options: ClientOptions, budget: Budget): Promise<CasClient> {
  const { createCasClient } = await import('../transport/index.js');
  return createCasClient({ ...connectionOf(endpoint, options), budget });
}

/** How a server is talked to. */
export function connectionOf(endpoint: string, options: ClientOptions): CasClientOptions {
  const { retry, stallTimeoutMs, responseTimeoutMs, dedupTimeoutMs, connectTimeoutMs, headers } =
    options;
  const { sessionId, userAgent, allowHosts, ca, proxy, dispatcher, exchange, fetch, onRetry } =
    options;
  const { grants, noProxy, addressTimeoutMs } = options;
  const given = {
    endpoint,
    token: tokenOptionOf(options.token ?? ''),
    retry: retry === undefined ? undefined : withoutUndefined(retry),
    ...{
      stallTimeoutMs,
      responseTimeoutMs,
      dedupTimeoutMs,
      connectTimeoutMs,
      addressTimeoutMs,
      headers,
      sessionId,
      userAgent,
    },
    ...{ allowHosts, ca, proxy, noProxy, dispatcher, exchange, fetch, onRetry },
    ...{ grants, crc64, rates: options.limits && ratesOf(options.limits) },
  };
  return withoutUndefined(given);
}

/** What uploads need to remember themselves; null: they are not to. */
function stateOf({
  endpoint = null,
  stateFolder,
  onStateProblem,
  grants = 'auto',
  shardCacheDir: cacheDir,
  shardCacheBytes: cacheBytes,
}: ClientOptions): UploadState | null {
  if (endpoint === null || stateFolder === undefined) return null;
  const options = [
    ...(grants === 'auto' ? [] : [`--grants=${grants}`]),
    cacheDir === undefined ? '--no-cache' : `--cache-dir=${resolve(cacheDir)}`,
    ...(cacheDir === undefined || cacheBytes === undefined ? [] : [`--cache-size=${cacheBytes}`]),
  ];
  const onProblem = onStateProblem ?? (() => {});
  return { stateFolder, endpoint: trimmed(endpoint), onProblem, options };
}

/** An endpoint as it is compared. */
function trimmed(endpoint: string): string {
  return endpoint.replace(/\/+$/, '');
}

interface OpenedCache {
  readonly cache: ShardCache | null;
  readonly problem: OrbweaverError | null;
}

/** A folder that takes longer to open is not used: a file server may be gone. */
const CACHE_OPEN_MS = 2000;

/** The shard cache; one that cannot be used is none. */
async function cacheOf(options: ClientOptions): Promise<OpenedCache> {
  const { endpoint = null, shardCacheDir: dir, shardCacheBytes: maxBytes } = options;
  if (endpoint === null || dir === undefined) return { cache: null, problem: null };
  const { createShardCache } = await import('../io/index.js');
  let stop = (): void => {};
  try {
    const opening = createShardCache({ dir, endpoint: trimmed(endpoint), maxBytes });
    const late = new Promise<never>((_, reject) => {
      stop = SYSTEM_CLOCK.setTimer(CACHE_OPEN_MS, () => {
        const text = `"${dir}" expected to open within ${CACHE_OPEN_MS} ms, did not`;
        reject(new OrbweaverError('OUTPUT_UNWRITABLE', text, { path: dir }));
      });
    });
    return { cache: await Promise.race([opening, late]), problem: null };
  } catch (error) {
    if (!isOrbweaverError(error)) throw error;
    return { cache: null, problem: error };
  } finally {
    stop();
  }
}
