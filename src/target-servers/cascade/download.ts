import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { SEVEN_ZIP_HEAD_BYTES } from '../../archive/index.js';
import { type HttpRequest, type HttpResponse, piecesBody } from '../../http/index.js';
import { digitId } from '../ids.js';
import { ConnectionCut } from '../messages.js';
import { GoaError } from './goa-error.js';
import type { CascadeDownload, CascadeFile, CascadeState } from './model.js';

/** Downloads: asked for by the id of a ticket, fetched volume by volume, then served as a file. */

/** Volumes that are fetched at once. */
const CONCURRENCY = 2;
/** Files that were made for download live so long, ms. */
const FILE_TTL_MS = 12 * 60 * 60 * 1000;
/** The server gives up after so long and says nothing, ms. */
const DEADLINE_MS = 120 * 60 * 1000;
const MIB = 1024 * 1024;

/** @throws GoaError */
export function startDownload(state: CascadeState, txid: string, version: 1 | 2): CascadeDownload {
  state.counts.downloads++;
  const file = fileOfTicket(state, txid);
  if (file === null) throw new GoaError(404, 'NotFound', 'ticket not found');
  if (version === 1 && file.volumes.length > 1) {
    throw new GoaError(400, 'BadRequest', 'please use v2 to download multi-volume files');
  }
  const download: CascadeDownload = {
    id: digitId(6),
    file,
    createdAtMs: state.clock.unixMs(),
    fetched: version === 1 ? file.volumes.length : 0,
    state: version === 1 ? 'ready' : 'running',
  };
  state.downloads.set(download.id, download);
  return download;
}

function fileOfTicket(state: CascadeState, txid: string): CascadeFile | null {
  if (txid === '') return null;
  for (const file of state.files.values()) {
    const [first] = file.volumes;
    if (first === undefined) continue;
    const ticket = file.volumes.length === 1 ? first.regTxid : first.ticketId;
    if (ticket === txid && file.volumes.every((volume) => volume.concluded)) return file;
  }
  return null;
}

/** One step for every download under way. */
export function advanceDownloads(state: CascadeState): void {
  const { faults } = state;
  for (const download of state.downloads.values()) {
    const age = state.clock.unixMs() - download.createdAtMs;
    if (age > FILE_TTL_MS) state.downloads.delete(download.id);
    if (download.state !== 'running') continue;
    if (age > DEADLINE_MS) download.state = 'stuck';
    else if (faults.failDownload === true) {
      delete faults.failDownload;
      download.state = 'gone';
    } else if (faults.sayFailed === true) {
      delete faults.sayFailed;
      download.state = 'failed';
    } else if (faults.stuckDownload === true) {
      delete faults.stuckDownload;
      download.state = 'stuck';
    } else if (download.fetched < download.file.volumes.length) {
      const { length } = download.file.volumes;
      download.fetched = Math.min(length, download.fetched + CONCURRENCY);
    } else {
      // A name that holds `.7z` was written down shorter, and the joined file is looked for under it.
      const split = download.file.volumes.length > 1;
      const lost = split && download.file.name !== download.file.recordedName;
      download.state = lost ? 'gone' : 'ready';
    }
  }
}

/** @throws GoaError 404, 500 */
export function statusOf(state: CascadeState, id: string): object {
  const { faults } = state;
  const download = state.downloads.get(id);
  if (download === undefined) throw new GoaError(404, 'NotFound', 'file not found');
  const over = download.state === 'ready';
  if (download.state === 'gone' || (over && faults.statusGone === true)) {
    throw new GoaError(500, 'InternalServerError', 'no such task found');
  }
  const { file, fetched } = download;
  const total = file.volumes.length;
  const sizeMb = Math.ceil(file.sizeBytes / MIB);
  const premature = !over && (faults.prematureCompleted ?? 0) > 0;
  if (premature) faults.prematureCompleted = (faults.prematureCompleted ?? 0) - 1;
  if (over || premature || download.state === 'failed') {
    const failed = download.state === 'failed';
    return {
      total_volumes: 0,
      downloaded_volumes: 0,
      volumes_download_in_progress: 0,
      volumes_pending_download: 0,
      volumes_download_failed: failed ? 1 : 0,
      task_status: failed ? 'Failed' : 'Completed',
      size_of_the_file_megabytes: sizeMb,
      data_downloaded_megabytes: failed ? 0 : sizeMb,
      details: null,
    };
  }
  const running = Math.min(CONCURRENCY, total - fetched);
  const fields = file.volumes.map((volume, at) => ({
    Txid: volume.regTxid,
    TaskID: at >= fetched && at < fetched + running ? volume.taskId : '',
    Status: at < fetched ? 'Downloaded' : at < fetched + running ? 'In Progress' : 'Pending',
    Error: '',
  }));
  return {
    total_volumes: total,
    downloaded_volumes: faults.doubleCount === true ? fetched * 2 : fetched,
    volumes_download_in_progress: running,
    volumes_pending_download: total - fetched - running,
    volumes_download_failed: 0,
    task_status: 'In Progress',
    size_of_the_file_megabytes: sizeMb,
    data_downloaded_megabytes: Math.floor((sizeMb * fetched) / Math.max(1, total)),
    details:
      faults.nullDetails === true
        ? null
        : { fields: Object.fromEntries(fields.map((field) => [field.Txid, field])) },
  };
}

/** The bytes of a finished download; a single range works. @throws GoaError 404 */
export function serveFile(state: CascadeState, id: string, request: HttpRequest): HttpResponse {
  const download = state.downloads.get(id);
  if (download?.state !== 'ready') throw new GoaError(404, 'NotFound', 'file not found');
  const { file } = download;
  const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers['range'] ?? '');
  const start = Math.min(Number(range?.[1] ?? 0), file.sizeBytes);
  const last = range?.[2] === undefined || range[2] === '' ? file.sizeBytes - 1 : Number(range[2]);
  const end = Math.max(start, Math.min(last + 1, file.sizeBytes));
  return {
    status: range === null ? 200 : 206,
    headers: {
      'content-type': 'application/octet-stream',
      'content-disposition': `attachment; filename="${encodeURIComponent(file.name)}"`,
      'accept-ranges': 'bytes',
      ...(range === null ? {} : { 'content-range': `bytes ${start}-${end - 1}/${file.sizeBytes}` }),
    },
    body: piecesBody(served(state, file, start, end), end - start),
  };
}

/** The content, with what goes wrong on its way. */
async function* served(
  state: CascadeState,
  file: CascadeFile,
  start: number,
  end: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { faults } = state;
  const wrong = (faults.wrongBytes ?? 0) > 0;
  if (wrong) faults.wrongBytes = (faults.wrongBytes ?? 0) - 1;
  let sentBytes = 0;
  for await (const bytes of contentOf(file, start, end)) {
    if (wrong && sentBytes === 0) bytes[0] = (bytes[0] as number) ^ 1;
    if (faults.cutFile === true && (sentBytes + bytes.length) * 2 >= end - start) {
      delete faults.cutFile;
      yield bytes.subarray(0, bytes.length >> 1);
      throw new ConnectionCut();
    }
    sentBytes += bytes.length;
    yield bytes;
  }
}

/** Bytes of the file as it came: volumes joined, without the frames of the archive. */
export async function* contentOf(
  file: CascadeFile,
  start: number,
  end: number,
): AsyncGenerator<Buffer, void, undefined> {
  const shift = file.volumes.length > 1 ? SEVEN_ZIP_HEAD_BYTES : 0;
  let at = 0;
  const number = (name: string): number => Number(/\.(\d+)$/.exec(name)?.[1] ?? 0);
  const inOrder = [...file.volumes].sort((a, b) => number(a.name) - number(b.name));
  for (const volume of inOrder) {
    const path = join(file.folder, volume.name);
    const { size } = await stat(path);
    const from = Math.max(0, start + shift - at);
    const to = Math.min(size, end + shift - at);
    if (from < to) yield* createReadStream(path, { start: from, end: to - 1 });
    at += size;
  }
}
