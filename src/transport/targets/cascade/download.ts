import { createHash, type Hash } from 'node:crypto';
import type { Sink } from '../../../client/ports.js';
import { isOrbweaverError, OrbweaverError } from '../../../errors.js';
import { Scope } from '../../../flow/index.js';
import { drain } from '../../../http/index.js';
import { targetError } from '../errors.js';
import { numberOf, objectOf, textOf } from '../json-fields.js';
import { type CascadeApi, createCascadeApi } from './api.js';
import { type CascadeOptions, type CascadeSettings, cascadeSettings } from './options.js';

/** What is downloaded, and where to. */
export interface CascadeDownload {
  /** `txid` of the upload's ids: of the joining ticket, or of the only volume. */
  readonly txid: string;
  readonly sink: Sink;
  /** SHA-256 of the content in hex. Without it nothing is compared. @default unknown */
  readonly sha256?: string | undefined;
  /** @default unknown */
  readonly sizeBytes?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: CascadeDownloadProgress) => void) | undefined;
}

/** Where a download stands. */
export interface CascadeDownloadProgress {
  readonly stage: 'preparing' | 'fetching';
  /** Volumes that the server has, never more than there are; null: not said. */
  readonly volumeCount: number | null;
  readonly readyCount: number | null;
  readonly receivedBytes: number;
}

/** A file that was downloaded. */
export interface CascadeDownloadResult {
  readonly sizeBytes: number;
  readonly sha256: string;
  /** The SHA-256 was compared with the one that was asked for. */
  readonly verified: boolean;
}

/** Requests for the same download, at most. */
const MAX_REQUESTS = 3;
/** The server gives up after 120 minutes and says nothing. */
const SERVER_DEADLINE_MS = 120 * 60_000;
/** `/files` is tried for so long after the status said that it is there. */
const FILE_PATIENCE_MS = 5 * 60_000;
const MAX_CUTS = 5;
const FIRST_POLL_MS = 2000;
const MOST_POLL_MS = 30_000;
const BUFFER_BYTES = 256 * 1024;

/** The passphrase's owner; nothing here costs coins. */
export type CascadeReadOptions = Omit<CascadeOptions, 'payBurn' | 'findBurn' | 'acceptCost'>;

/**
 * Downloads a file and checks its SHA-256 here: the server says `Completed` before its own check.
 *
 * @throws OrbweaverError `INTEGRITY` when three downloads had other bytes, `NOT_FOUND`, `OUTCOME_UNKNOWN`
 * when the server never had the file ready, and what the sink throws; the sink is aborted then
 * @example
 * await downloadCascade({ url, pastelId, passphrase, exchange, clock, random },
 *   { txid, sink: fileSink('big.iso'), sha256 });
 */
export async function downloadCascade(
  options: CascadeReadOptions,
  download: CascadeDownload,
): Promise<CascadeDownloadResult> {
  const settings = cascadeSettings(
    { ...options, acceptCost: true, payBurn: neverPays },
    'downloadCascade',
  );
  const api = createCascadeApi(settings);
  const { sink } = download;
  const scope = new Scope({
    clock: settings.clock,
    signal: download.signal,
    what: 'the download',
  });
  try {
    for (let request = 1; ; request++) {
      const fileId = await ask(api, settings, download.txid, scope);
      const outcome = await fetchWhenReady(api, settings, { download, fileId, scope });
      if (outcome !== null && !('wrong' in outcome)) {
        await sink.commit(outcome.sizeBytes);
        return outcome;
      }
      // Bytes that were passed on cannot be taken back.
      const again = request < MAX_REQUESTS && (outcome === null || sink.positional);
      if (!again) throw notDownloaded(download, outcome);
    }
  } catch (error) {
    await sink.abort(error);
    throw error;
  } finally {
    scope.close();
  }
}

async function neverPays(): Promise<string> {
  throw new TypeError('a download does not pay');
}

function notDownloaded(download: CascadeDownload, outcome: { wrong: string } | null): Error {
  const { txid } = download;
  return targetError({
    kind: 'cascade',
    class: outcome === null ? 'unknown-outcome' : 'integrity',
    message:
      outcome === null
        ? `${MAX_REQUESTS} downloads of ${txid} ended without a file`
        : `the file of ${txid} expected ${outcome.wrong}`,
    ids: { txid },
  });
}

/** Asks for the file to be fetched by the server; resolves with the name of that download. */
async function ask(
  api: CascadeApi,
  settings: CascadeSettings,
  txid: string,
  scope: Scope,
): Promise<string> {
  const query = `pid=${encodeURIComponent(settings.pastelId)}&txid=${encodeURIComponent(txid)}`;
  const path = settings.apiVersion === 2 ? '/v2/download' : '/download';
  const response = await scope.call((signal) =>
    api.get(`${path}?${query}`, { authorize: true, signal }),
  );
  const fileId = textOf(objectOf(response.json)?.['file_id']);
  if (response.status !== 200 || !/^[A-Za-z0-9]{1,64}$/.test(fileId)) {
    const error = api.failure(response, 'asking for the download', { ids: { txid } });
    if (response.status !== 404 || !isOrbweaverError(error)) throw error;
    throw new OrbweaverError('NOT_FOUND', error.message, error.fields);
  }
  return fileId;
}

interface Fetch {
  readonly download: CascadeDownload;
  readonly fileId: string;
  readonly scope: Scope;
}

/**
 * Polls until the file may be there, then tries to get it. Null: the download has to be asked for
 * again.
 */
async function fetchWhenReady(
  api: CascadeApi,
  settings: CascadeSettings,
  fetch: Fetch,
): Promise<CascadeDownloadResult | { wrong: string } | null> {
  const { scope } = fetch;
  const deadlineMs = settings.clock.now() + SERVER_DEADLINE_MS;
  let pollMs = FIRST_POLL_MS;
  for (;;) {
    const state = await statusOf(api, fetch);
    if (state === 'failed') return null;
    // Completed too early, or 500 because the task is gone: only the file itself says the truth.
    if (state === 'maybe') break;
    if (settings.clock.now() + pollMs > deadlineMs) return null;
    await scope.sleep(pollMs);
    pollMs = Math.min(pollMs * 1.5, MOST_POLL_MS);
  }
  const patienceEndMs = settings.clock.now() + FILE_PATIENCE_MS;
  pollMs = FIRST_POLL_MS;
  for (;;) {
    const outcome = await getFile(settings, fetch);
    if (outcome !== null) return outcome;
    if (settings.clock.now() + pollMs > patienceEndMs) return null;
    await scope.sleep(pollMs);
    pollMs = Math.min(pollMs * 2, MOST_POLL_MS);
  }
}

async function statusOf(
  api: CascadeApi,
  { download, fileId, scope }: Fetch,
): Promise<'running' | 'maybe' | 'failed'> {
  const path = `/downloads/${encodeURIComponent(fileId)}/status`;
  const response = await scope.call((signal) => api.get(path, { authorize: false, signal }));
  if (response.status === 500) return 'maybe';
  if (response.status === 404) return 'failed';
  if (response.status !== 200) {
    throw api.failure(response, 'asking how far the download is', { ids: { downloadId: fileId } });
  }
  const { state, volumeCount, readyCount } = readDownloadStatus(response.json);
  download.onProgress?.({ stage: 'preparing', volumeCount, readyCount, receivedBytes: 0 });
  return state;
}

/** What a status says: counters that make sense, and a state that is never sure of success. */
export function readDownloadStatus(body: unknown): {
  readonly state: 'running' | 'maybe' | 'failed';
  readonly volumeCount: number | null;
  readonly readyCount: number | null;
} {
  const json = objectOf(body);
  const total = numberOf(json?.['total_volumes']);
  const ready = numberOf(json?.['downloaded_volumes']);
  const counted = total !== null && total > 0;
  const status = textOf(json?.['task_status']).toLowerCase();
  const state = status === 'completed' ? 'maybe' : status === 'failed' ? 'failed' : 'running';
  return {
    state,
    volumeCount: counted ? total : null,
    // A volume may be counted twice.
    readyCount: counted && ready !== null ? Math.min(ready, total) : null,
  };
}

interface Received {
  readonly hash: Hash;
  bytes: number;
  cuts: number;
}

/** Gets the file, going on by ranges when the connection breaks. Null: it is not there (yet). */
async function getFile(
  settings: CascadeSettings,
  fetch: Fetch,
): Promise<CascadeDownloadResult | { wrong: string } | null> {
  const { download } = fetch;
  const received: Received = { hash: createHash('sha256'), bytes: 0, cuts: 0 };
  for (;;) {
    const totalBytes = await getRest(settings, fetch, received);
    if (totalBytes === null) return null;
    if (totalBytes !== 'cut') break;
    received.cuts++;
    if (received.cuts > MAX_CUTS) return null;
    await fetch.scope.sleep(FIRST_POLL_MS);
  }
  const sha256 = received.hash.digest('hex');
  const { sizeBytes: expectedBytes, sha256: expected } = download;
  if (expectedBytes !== undefined && received.bytes !== expectedBytes) {
    return { wrong: `${expectedBytes} bytes, got ${received.bytes}` };
  }
  if (expected !== undefined && sha256 !== expected.toLowerCase()) {
    return { wrong: `the SHA-256 ${expected}, got ${sha256}` };
  }
  return { sizeBytes: received.bytes, sha256, verified: expected !== undefined };
}

async function getRest(
  settings: CascadeSettings,
  { download, fileId, scope }: Fetch,
  received: Received,
): Promise<number | 'cut' | null> {
  const url = new URL(`files/${encodeURIComponent(fileId)}`, settings.root);
  const ranged = received.bytes > 0;
  return scope.call(async (signal) => {
    let response: Awaited<ReturnType<CascadeSettings['exchange']>>;
    try {
      response = await settings.exchange({
        method: 'GET',
        url,
        headers: ranged ? { range: `bytes=${received.bytes}-` } : {},
        body: null,
        signal,
      });
    } catch {
      scope.check();
      return 'cut';
    }
    if (response.status !== (ranged ? 206 : 200)) {
      await drain(response.body, BUFFER_BYTES);
      return null;
    }
    const buffer = new Uint8Array(BUFFER_BYTES);
    try {
      for (;;) {
        const count = (await response.body?.fill(buffer)) ?? 0;
        if (count === 0) return received.bytes;
        const piece = buffer.subarray(0, count);
        received.hash.update(piece);
        await writeTo(download.sink, piece, received.bytes);
        received.bytes += count;
        download.onProgress?.({
          stage: 'fetching',
          volumeCount: null,
          readyCount: null,
          receivedBytes: received.bytes,
        });
      }
    } catch (error) {
      response.body?.cancel(error);
      scope.check();
      if (error instanceof SinkFailure) throw error.cause;
      return 'cut';
    }
  });
}

/** Tells failures of the sink from those of the connection. */
class SinkFailure extends Error {}

async function writeTo(sink: Sink, piece: Uint8Array, offset: number): Promise<void> {
  try {
    await sink.write(piece, offset);
  } catch (cause) {
    throw new SinkFailure('the sink failed', { cause });
  }
}
