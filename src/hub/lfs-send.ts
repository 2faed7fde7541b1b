import { OrbweaverError } from '../errors.js';
import { throwIfAborted } from '../flow/index.js';
import type { Body } from '../http/index.js';
import type { HubHttp } from './http.js';
import { LFS_JSON, type LfsAction, type LfsAnswer, type LfsObject } from './lfs-batch.js';

/** A file that goes whole. */
export interface LfsFile extends LfsObject {
  /** Path in the repository, for messages. */
  readonly path: string;
  /** Its bytes from `start` to `end`; called again for what has to be sent again. */
  body(start: number, end: number): Promise<Body>;
  /** Parts that may be sent at once; 1: `body` is called in order. */
  readonly partsAtOnce: number;
  /** That it is still what it was; called when all parts have gone out. @throws OrbweaverError `INPUT_CHANGED` */
  check(): Promise<void>;
}

/** Bytes per second below which a server is given up, after the first ten minutes. */
const SLOWEST = 64 * 1024;

/**
 * Sends a file whole: in one request, or in the parts that the Hub names, several at a time; then tells it
 * where it wants to be told. Requests are repeated as all that do no harm.
 * @throws OrbweaverError what the Hub or the place that it names says
 */
export async function sendLfs(
  http: HubHttp,
  file: LfsFile,
  { upload, verify }: Extract<LfsAnswer, { readonly kind: 'wanted' }>,
  signal: AbortSignal,
): Promise<void> {
  const { oid, sizeBytes, path } = file;
  const { chunk_size: partBytes } = upload.header;
  if (partBytes === undefined) await put(http, file, upload, 0, sizeBytes, signal);
  else await sendParts(http, file, upload, Number(partBytes), signal);
  if (verify === null) return;
  await http.request({
    what: `verifying "${path}"`,
    method: 'POST',
    path: verify.url,
    bytes: json({ oid, size: sizeBytes }),
    headers: { accept: LFS_JSON, 'content-type': LFS_JSON, ...verify.header },
    repeatable: true,
    authorize: verify.header['authorization'] === undefined,
    signal,
  });
}

/** Parts by numbers in the header, `00001` and on, each with the URL that takes it. */
async function sendParts(
  http: HubHttp,
  file: LfsFile,
  { url, header }: LfsAction,
  partBytes: number,
  signal: AbortSignal,
): Promise<void> {
  const { oid, sizeBytes, path } = file;
  const urls = Object.entries(header)
    .filter(([name]) => /^\d+$/.test(name))
    .sort(([a], [b]) => Number(a) - Number(b));
  if (!(partBytes > 0) || urls.length !== Math.ceil(sizeBytes / partBytes)) {
    throw new OrbweaverError(
      'PROTOCOL',
      `"${path}" of ${sizeBytes} bytes expected parts for all of them, got ${urls.length} of ${partBytes}`,
    );
  }
  const parts: { readonly partNumber: number; readonly etag: string }[] = [];
  const failing = new AbortController();
  const inner = AbortSignal.any([signal, failing.signal]);
  const left = urls.entries();
  const lane = async (): Promise<void> => {
    for (const [i, [name, part]] of left) {
      if (inner.aborted) return;
      const start = i * partBytes;
      const end = Math.min(start + partBytes, sizeBytes);
      const etag = await put(http, file, { url: part, header: {} }, start, end, inner);
      if (etag === undefined) {
        throw new OrbweaverError(
          'PROTOCOL',
          `part ${name} of "${path}" expected an ETag, got none`,
        );
      }
      parts[i] = { partNumber: Number(name), etag };
    }
  };
  const lanes = Array.from({ length: Math.min(file.partsAtOnce, urls.length) }, async () => {
    try {
      await lane();
    } catch (error) {
      // The others are for nothing now; who fails first is the reason.
      if (!failing.signal.aborted) failing.abort(error);
    }
  });
  await Promise.all(lanes);
  throwIfAborted(signal);
  if (failing.signal.aborted) throw failing.signal.reason;
  await file.check();
  await http.request({
    what: `completing "${path}"`,
    method: 'POST',
    path: url,
    bytes: json({ oid, parts }),
    headers: { accept: LFS_JSON, 'content-type': LFS_JSON },
    repeatable: true,
    signal,
  });
}

/** To a signed URL, which needs no token. Resolves to the ETag. */
async function put(
  http: HubHttp,
  file: LfsFile,
  { url, header }: LfsAction,
  start: number,
  end: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { headers } = await http.request({
    what: `sending "${file.path}"`,
    method: 'PUT',
    path: url,
    body: () => file.body(start, end),
    headers: header,
    authorize: false,
    timeoutMs: 600_000 + Math.ceil((end - start) / SLOWEST) * 1000,
    signal,
  });
  return headers['etag'];
}

function json(value: unknown): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(value));
}
