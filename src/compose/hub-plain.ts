import { createHash } from 'node:crypto';
import type { Sink } from '../client/ports.js';
import { isOrbweaverError, OrbweaverError } from '../errors.js';
import type { Body, HttpHeaders } from '../http/index.js';
import type { HubFileInfo } from '../hub/index.js';
import { createGitBlobHash, type GitBlobHash } from '../io/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import { pauseFor } from '../transport/targets.js';
import type { HubParts } from './hub-parts.js';

/** Redirects of a file: from the Hub to a bucket, and on. */
const MAX_REDIRECTS = 5;
/** Attempts without a byte in between, before a download is given up. */
const MAX_ATTEMPTS = 6;
const BASE_DELAY_MS = 500;
const PIECE_BYTES = 256 * 1024;
/** Silence after which a connection is given up. */
const SILENCE_MS = 30_000;

/** What a plain download came to. */
export interface PlainResult {
  readonly fetchedBytes: number;
  readonly requestCount: number;
  /** True when the Hub told a hash that could be compared. */
  readonly verified: boolean;
}

/**
 * Reads a file as plain HTTP into a sink, in order; a connection that breaks goes on where it was. The
 * bytes are held against the hash in the file's ETag: SHA-256 of large files, git's of others.
 * @throws OrbweaverError `INTEGRITY`, `SIZE_MISMATCH`, `NETWORK`, `NOT_FOUND`…
 */
export async function plainDownload(
  parts: HubParts,
  info: HubFileInfo,
  sink: Sink,
  signal: AbortSignal,
  onBytes: (bytes: number) => void,
): Promise<PlainResult> {
  const check = checkOf(info);
  const token = await tokenOf(parts);
  let at = 0;
  let requestCount = 0;
  let failures = 0;
  try {
    await sink.prepare?.(info.size);
    while (at < info.size) {
      const before = at;
      try {
        requestCount++;
        const body = await open(parts, new URL(info.url), at, info, token, signal);
        for await (const piece of pieces(body, signal)) {
          if (at + piece.length > info.size) throw longer(info);
          check?.hash.update(piece);
          await sink.write(piece, at);
          at += piece.length;
          onBytes(piece.length);
        }
        if (at < info.size) throw new OrbweaverError('NETWORK', 'the response ended too early');
      } catch (error) {
        failures = at > before ? 1 : failures + 1;
        if (!mayRepeat(error) || failures >= MAX_ATTEMPTS) throw error;
        await pauseFor(BASE_DELAY_MS * 2 ** (failures - 1), SYSTEM_CLOCK, signal);
      }
    }
    const isRight = check === null || check.hash.digest() === check.expected;
    if (!isRight) {
      throw new OrbweaverError(
        'INTEGRITY',
        `${info.url} expected the hash ${info.etag}, has another`,
      );
    }
    await sink.commit(info.size);
    return { fetchedBytes: at, requestCount, verified: check !== null };
  } catch (error) {
    await sink.abort(error);
    throw error;
  }
}

function checkOf({ etag, size }: HubFileInfo) {
  const expected = etag.toLowerCase();
  if (/^[0-9a-f]{64}$/.test(expected)) return { hash: sha256Hash(), expected };
  if (!/^[0-9a-f]{40}$/.test(expected)) return null;
  return { hash: createGitBlobHash(size), expected };
}

function sha256Hash(): GitBlobHash {
  const hash = createHash('sha256');
  return { update: (bytes) => void hash.update(bytes), digest: () => hash.digest('hex') };
}

async function open(
  parts: HubParts,
  from: URL,
  at: number,
  { size }: HubFileInfo,
  token: string,
  signal: AbortSignal,
): Promise<Body | null> {
  let url = from;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const { status, headers, body } = await parts.exchange({
      method: 'GET',
      url,
      headers: {
        'accept-encoding': 'identity',
        'user-agent': parts.options.userAgent ?? 'orbweaver',
        ...(at > 0 ? { range: `bytes=${at}-` } : {}),
        // To the Hub only: whoever signs addresses of buckets needs none.
        ...(token !== '' && parts.http.isOwn(url) ? { authorization: `Bearer ${token}` } : {}),
      },
      body: null,
      signal,
    });
    if (status === 200 && at === 0) return body;
    if (status === 206 && startOf(headers) === at) return body;
    body?.cancel();
    if (status >= 300 && status < 400) {
      url = nextUrl(headers, url);
      continue;
    }
    throw statusError(status, url, at, size);
  }
  throw new OrbweaverError('REJECTED', `${from.host} redirects more than ${MAX_REDIRECTS} times`);
}

function nextUrl(headers: HttpHeaders, url: URL): URL {
  const location = headers['location'] ?? '';
  if (location === '' || !URL.canParse(location, url.href)) {
    throw new OrbweaverError('PROTOCOL', `${url.host} expected to say where it redirects to`);
  }
  const next = new URL(location, url);
  if (
    !/^https?:$/.test(next.protocol) ||
    (url.protocol === 'https:' && next.protocol === 'http:')
  ) {
    throw new OrbweaverError(
      'UNSAFE_URL',
      `${url.host} redirects to ${next.protocol}//${next.host}`,
    );
  }
  return next;
}

function statusError(status: number, url: URL, at: number, size: number): OrbweaverError {
  const code =
    status === 404
      ? 'NOT_FOUND'
      : status === 401
        ? 'AUTH_REQUIRED'
        : status === 403
          ? 'FORBIDDEN'
          : status === 429 || status >= 500
            ? 'SERVER_ERROR'
            : 'REJECTED';
  const text = `${url.host} responded with ${status} where bytes ${at} to ${size - 1} were asked for`;
  return new OrbweaverError(code, text, { status, host: url.host });
}

function startOf(headers: HttpHeaders): number {
  const match = /^bytes (\d+)-/.exec(headers['content-range'] ?? '');
  return match === null ? -1 : Number(match[1]);
}

function longer({ url, size }: HubFileInfo): OrbweaverError {
  return new OrbweaverError('SIZE_MISMATCH', `${url} expected ${size} bytes, sends more`, {
    expectedBytes: size,
  });
}

function mayRepeat(error: unknown): boolean {
  if (!isOrbweaverError(error)) return !(error instanceof TypeError);
  return error.retryable && error.code !== 'RATE_LIMITED';
}

/** The pieces of a body; silence ends it. */
async function* pieces(body: Body | null, signal: AbortSignal): AsyncGenerator<Uint8Array, void> {
  if (body === null) return;
  const buffer = new Uint8Array(PIECE_BYTES);
  const silent = new OrbweaverError('STALLED', `no byte came within ${SILENCE_MS} ms`);
  try {
    for (;;) {
      signal.throwIfAborted();
      const stop = SYSTEM_CLOCK.setTimer(SILENCE_MS, () => body.cancel(silent));
      let count: number;
      try {
        count = await body.fill(buffer);
      } finally {
        stop();
      }
      if (count === 0) return;
      yield buffer.subarray(0, count);
    }
  } finally {
    body.cancel();
  }
}

async function tokenOf({ options: { accessToken } }: HubParts): Promise<string> {
  return typeof accessToken === 'string' ? accessToken : ((await accessToken?.get()) ?? '');
}
