import { downloadVerified } from '../client/downloads.js';
import type { CasClient, Sink } from '../client/ports.js';
import { crc64 } from '../compose/crc64.js';
import { createLimits, ratesOf, type TransferLimits } from '../compose/limits.js';
import { RETRY_RULES } from '../compose/shared-rules.js';
import { withoutUndefined } from '../compose/without-undefined.js';
import { OrbweaverError } from '../errors.js';
import { Budget } from '../flow/index.js';
import { MerkleHash } from '../hash/index.js';
import { checkOptions } from '../options/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import { createFetchCasClient } from '../transport/web.js';
import {
  createPagePool,
  type PageWorkerConstructor,
  pageThreads,
  type SpawnPageThread,
} from '../workers/web.js';
import { pageFolderMethods } from './folder-methods.js';
import { inputList, sizeOf, sourceOf } from './inputs.js';
import { openPageMemory } from './memory.js';
import { CLIENT_RULES, DOWNLOAD_RULES, STREAM_RULES, UPLOAD_RULES } from './options.js';
import { webStreamSink } from './outputs.js';
import { createPlaces } from './places.js';
import type {
  BrowserClient,
  BrowserClientOptions,
  BrowserDownloadOptions,
  BrowserEditOptions,
  BrowserSplice,
  BrowserStreamOptions,
  DownloadResult,
  EditResult,
} from './types.js';
import { runPageUpload } from './upload.js';

declare const Worker: PageWorkerConstructor;

/** What all downloads of a client may hold beside slabs: reconstructions and lists of chunks. */
const RETAINED_BYTES = 32 * 1024 * 1024;
/** Enough to keep a reader busy between two slabs. */
const STREAM_BUFFER_BYTES = 256 * 1024;
/** Tasks on the thread of the page before there are workers, each at most 2 MiB: some 5 ms. */
const IN_THREAD_BYTES = 8 * 1024 * 1024;

/**
 * A ready client in a page: web workers over shared memory where the page is cross-origin isolated, and
 * requests by `fetch`.
 *
 * @throws RangeError, TypeError for wrong options; OrbweaverError `KERNEL_UNAVAILABLE`
 * @example
 * const client = await createClient({ endpoint: 'https://cas.example.com', token });
 * const { files } = await client.upload(input.files[0]);
 * await client.stream(files[0].fileHash).pipeTo(writable);
 * await client.close();
 */
export async function createClient(given: BrowserClientOptions = {}): Promise<BrowserClient> {
  const options = { endpoint: null, ...given };
  checkOptions('createClient', options, CLIENT_RULES);
  if (options.retry !== undefined) checkOptions('retry', options.retry, RETRY_RULES);
  const { endpoint, placement = 'balanced', concurrency } = options;
  const budget = new Budget({ capacityBytes: RETAINED_BYTES });
  const limits = limitsOf(options);
  const cas = endpoint === null ? null : casOf(endpoint, options, limits, budget);
  const spawn = spawnerOf(options.workerUrl);
  const pool = await createPagePool({
    spawn,
    threads: options.workers,
    maxMemory: options.maxMemory,
    tier: options.tier,
    sharedMemory: options.sharedMemory,
    compression: options.compression,
    inThreadBytes: IN_THREAD_BYTES,
  });
  const memory =
    endpoint === null || options.database === undefined
      ? null
      : await openPageMemory({
          name: options.database,
          endpoint: endpoint.replace(/\/+$/, ''),
          shardCacheBytes: options.shardCacheBytes,
          hasher: pool.kernels.hasher,
          onProblem: options.onStateProblem ?? (() => {}),
        });
  const places = createPlaces({
    spawn,
    threads: pool.threads,
    memory: memory === null ? null : { name: options.database ?? '', database: memory.database },
  });
  let closing: Promise<void> | null = null;
  const checkOpen = (): void => {
    if (closing === null) return;
    const text = 'the client expected to be open, got a call after close()';
    throw new OrbweaverError('CLOSED', text);
  };
  const needCas = (): CasClient => {
    checkOpen();
    if (cas !== null) return cas;
    const text = 'the client expected an endpoint for anything but dry runs, got null';
    throw new OrbweaverError('USAGE', text);
  };
  const rebuild = async (
    fileHash: string,
    sink: Sink,
    options: Omit<BrowserDownloadOptions, 'to' | 'resume'>,
  ): Promise<DownloadResult> => {
    const { offset, length, verifyRange = 'auto', ...rest } = options;
    const startedAt = performance.now();
    const isWhole = (offset ?? length) === undefined;
    const result = await downloadVerified(
      {
        ...rest,
        ...{ cas: needCas(), pool, budget, concurrency, clock: SYSTEM_CLOCK },
        hasher: pool.kernels.hasher,
        fileHash: MerkleHash.parse(fileHash),
        sink,
        ...(isWhole ? {} : { range: { offset: offset ?? 0, length } }),
      },
      verifyRange,
    );
    return { ...result, wallMs: performance.now() - startedAt };
  };
  const runEdit = async (
    fileHash: string,
    splices: readonly BrowserSplice[],
    options: BrowserEditOptions,
  ): Promise<EditResult> => {
    const { applySplices, checkEdit } = await import('../compose/splices.js');
    checkEdit(fileHash, splices, options);
    const inserts = splices.map(({ insert }) => (insert === undefined ? [] : inputList([insert])));
    const parts = { cas: needCas(), pool, budget, concurrency, placement };
    const change = [fileHash, splices.map(({ offset, deleteBytes }) => [offset, deleteBytes])];
    const resume = (await memory?.resume(inserts.flat(), change)) ?? null;
    const sources = splices.map(({ insert: _, ...splice }, i) => {
      const [input] = inserts[i] ?? [];
      return input === undefined ? splice : { ...splice, insert: sourceOf(input) };
    });
    return applySplices({ ...parts, memory: resume }, fileHash, sources, options);
  };

  const downloads = () => ({ cas: needCas(), pool, budget, concurrency });
  const client: BrowserClient = {
    ...pageFolderMethods({
      uploads: (dryRun) => {
        checkOpen();
        if (!dryRun) needCas();
        return { cas, pool, memory, placement, concurrency };
      },
      work: () => ({
        ...{ downloads: downloads(), places, rebuild },
        stream: (fileHash, streamOptions) => client.stream(fileHash, streamOptions),
      }),
    }),
    threads: pool.threads,
    tier: pool.kernels.tier,
    fallbackReason: pool.kernels.fallbackReason,
    sharedMemory: pool.sharedMemory,
    limits,
    async upload(inputs, uploadOptions = {}) {
      checkOptions('upload', uploadOptions, UPLOAD_RULES);
      checkOpen();
      if (uploadOptions.dryRun !== true) needCas();
      const list = inputList(inputs);
      pool.expectBytes(list.reduce((sum, input) => sum + (sizeOf(input) ?? 0), 0));
      return runPageUpload({ cas, pool, memory, placement, concurrency }, list, uploadOptions);
    },
    async download(fileHash, { to, ...downloadOptions }) {
      checkOptions('download', { to, ...downloadOptions }, DOWNLOAD_RULES);
      MerkleHash.parse(fileHash);
      needCas();
      const { resume, ...rest } = downloadOptions;
      if (resume === true && options.database === undefined) {
        throw new TypeError('"resume" expected a client with "database"');
      }
      const isWhole = (rest.offset ?? rest.length) === undefined;
      return rebuild(fileHash, await places.sinkOf(to, { fileHash, isWhole, resume }), rest);
    },
    stream(fileHash, streamOptions = {}) {
      checkOptions('stream', streamOptions, STREAM_RULES);
      return streamOf(fileHash, streamOptions, (sink, rest) => rebuild(fileHash, sink, rest));
    },
    edit: (fileHash, splices, editOptions = {}) => runEdit(fileHash, splices, editOptions),
    append: (fileHash, input, editOptions = {}) =>
      runEdit(fileHash, [{ offset: 'end', insert: input }], editOptions),
    async open(fileHash, openOptions) {
      const { openFile } = await import('../compose/remote-file.js');
      const stream = (offset: number, end: number, signal: AbortSignal) =>
        client.stream(fileHash, { offset, length: end - offset, signal });
      return openFile({ cas: needCas(), pool, budget, concurrency, stream }, fileHash, openOptions);
    },
    close() {
      closing ??= (async () => {
        await cas?.close();
        await Promise.all([pool.close(), places.close()]);
        memory?.close();
      })();
      return closing;
    },
  };
  return client;
}

function streamOf(
  fileHash: string,
  { onResult, ...options }: BrowserStreamOptions,
  rebuild: (sink: Sink, options: BrowserStreamOptions) => Promise<DownloadResult>,
): ReadableStream<Uint8Array> {
  const size = (bytes: Uint8Array): number => bytes.length;
  const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>(
    {},
    { highWaterMark: 1, size },
    { highWaterMark: STREAM_BUFFER_BYTES, size },
  );
  const sink = webStreamSink(writable, fileHash);
  const run = async (): Promise<void> => {
    // The stream ends when the result was told: who has read to its end knows it.
    const result = await rebuild({ ...sink, commit: async () => {} }, options);
    onResult?.(result);
    await sink.commit(result.sizeBytes);
  };
  run().catch((error: unknown) => sink.abort(error));
  return readable;
}

/** `new Worker(new URL(…), …)` in this form is what bundlers look for. */
function spawnerOf(workerUrl: string | URL | undefined): SpawnPageThread {
  return pageThreads(() =>
    workerUrl === undefined
      ? new Worker(new URL('./browser-worker.js', import.meta.url), {
          type: 'module',
          name: 'orbweaver',
        })
      : new Worker(workerUrl, { type: 'module', name: 'orbweaver' }),
  );
}

/** Those that are shared, or the client's own. */
function limitsOf(options: BrowserClientOptions): TransferLimits {
  const { limits, limitUpload, limitDownload } = options;
  if (limits === undefined) return createLimits({ upload: limitUpload, download: limitDownload });
  if (limitUpload === undefined && limitDownload === undefined) return limits;
  throw new TypeError('"limits" excludes "limitUpload" and "limitDownload"');
}

function casOf(
  endpoint: string,
  options: BrowserClientOptions,
  limits: TransferLimits,
  budget: Budget,
): CasClient {
  const { token = '', retry, stallTimeoutMs, responseTimeoutMs, dedupTimeoutMs } = options;
  // A server that knows no grants refuses the preflight, which looks like a broken connection.
  const { grants = 'never', headers, sessionId, allowHosts, onRetry } = options;
  const given = {
    ...{ endpoint, token, stallTimeoutMs, responseTimeoutMs, dedupTimeoutMs, grants, headers },
    ...{ sessionId, allowHosts, onRetry, budget, crc64, rates: ratesOf(limits) },
    retry: retry === undefined ? undefined : withoutUndefined(retry),
  };
  // Called as a function of its own, a page's `fetch` refuses.
  const fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
  return createFetchCasClient(withoutUndefined(given), fetch);
}
