import { createHash } from 'node:crypto';
import { isOrbweaverError } from '../../../errors.js';
import { piecesOf } from '../../../http/index.js';
import { targetError } from '../errors.js';
import type { TargetResponse } from '../http.js';
import { textOf } from '../json-fields.js';
import { pauseFor } from '../pause.js';
import type { PartBody, StepContext } from '../ports.js';
import type { FileState, SignedUrl, StartrailApi } from './api.js';
import type { StartrailSettings } from './options.js';

/** Attempts of one `send`, each with a URL of its own. */
const MAX_PUTS = 5;
/** A fresh URL after the bucket refused one: once. */
const MAX_REFUSED = 1;
const BASE_PAUSE_MS = 1000;
const MAX_PAUSE_MS = 30_000;

/** A file that is put into the bucket. */
export interface PutFile {
  readonly filename: string;
  readonly body: PartBody;
  readonly context: StepContext;
}

/**
 * Puts a file into the bucket and resolves with its stable URL. Every attempt begins at byte 0 with a
 * signed URL that was asked for just before. When nobody knows whether one stored the file, its
 * metadata is asked for: the same content counts as stored, another one is a conflict.
 *
 * @throws OrbweaverError of a class
 */
export async function putFile(
  api: StartrailApi,
  settings: StartrailSettings,
  file: PutFile,
): Promise<string> {
  const { filename, body, context } = file;
  let refusedCount = 0;
  for (let attempt = 1; ; attempt++) {
    const earlier = putsNoted(context, filename);
    const signed = await api.signedUrl(filename, context.signal);
    // On disk before the bytes leave, so that a later run knows whose file it may find.
    await context.note('put', { filename, finalUrl: signed.finalUrl });
    const { verdict, error } = await put(api, signed, file);
    if (verdict === 'stored') return signed.finalUrl;
    if (verdict === 'final' || (verdict === 'refused' && ++refusedCount > MAX_REFUSED)) throw error;
    if (verdict === 'again' || verdict === 'taken') {
      const [state = MISSING] = await api.files([filename], context.signal);
      const { finalUrl } = signed;
      const maybeOurs = verdict === 'again' || earlier.length > 0;
      if (verdict === 'taken' || state.state !== 'missing') {
        return sameContent(file, { finalUrl, state, maybeOurs });
      }
    }
    if (attempt >= MAX_PUTS || !body.reopenable) throw error;
    if (verdict === 'again') await pause(settings, attempt, context.signal);
  }
}

const MISSING: FileState = { state: 'missing' };

/** Final URLs of the PUTs of a name that may have been made, oldest first. */
export function putsNoted({ notes }: StepContext, filename: string): string[] {
  return notes
    .filter(({ kind, data }) => kind === 'put' && data['filename'] === filename)
    .map(({ data }) => textOf(data['finalUrl']));
}

/**
 * One PUT. The bucket gets the Content-Type that was signed and nothing else: no key, no issuer, no
 * transfer encoding. A redirect is a response like any other.
 */
async function put(
  api: StartrailApi,
  signed: SignedUrl,
  { filename, body, context }: PutFile,
): Promise<{ readonly verdict: PutVerdict; readonly error: unknown }> {
  try {
    const response = await api.http.request({
      method: 'PUT',
      url: signed.url,
      headers: { 'content-type': signed.contentType },
      body: () => body.open(),
      authorize: false,
      repeatable: false,
      signal: context.signal,
      timeoutMs: 600_000 + Math.ceil(body.sizeBytes / 65_536) * 1000,
    });
    const error = api.http.failure(response, { what: `storing ${filename}`, ids: { filename } });
    return { verdict: verdictOf(response), error };
  } catch (error) {
    if (!isOrbweaverError(error) || !error.retryable) throw error;
    return { verdict: 'again', error };
  }
}

/** What a response of the bucket means. */
export type PutVerdict = 'stored' | 'taken' | 'refused' | 'again' | 'final';

/** Errors of the bucket are XML; `ExpiredToken` comes as 400. A redirect is followed nowhere. */
export function verdictOf({ status, text }: TargetResponse): PutVerdict {
  if (status >= 200 && status < 300) return 'stored';
  if (status === 409 || status === 412) return 'taken';
  if (status === 403 || /<Code>(?:ExpiredToken|SignatureDoesNotMatch)<\/Code>/.test(text)) {
    return 'refused';
  }
  if (status === 501 || status === 507) return 'final';
  return status === 408 || status === 429 || status >= 500 ? 'again' : 'final';
}

/** What is known about a name that is in use. */
export interface NameInUse {
  readonly finalUrl: string;
  readonly state: FileState;
  /** A PUT of ours, in this run or an earlier one, may have stored it. */
  readonly maybeOurs: boolean;
}

/**
 * The final URL when what is stored under the name is this file. While nobody knows its hash, what may
 * be ours counts as ours: the hash decides in the end.
 * @throws OrbweaverError `CONFLICT`
 */
export async function sameContent(file: PutFile, used: NameInUse): Promise<string> {
  const { filename, body } = file;
  const { state, maybeOurs, finalUrl } = used;
  const { hash, size } = state.state === 'missing' ? UNKNOWN : state;
  if (hash === null && maybeOurs) return finalUrl;
  const sameSize = size === null || size === body.sizeBytes;
  if (hash !== null && sameSize && hash === (await sha256Of(file))) return finalUrl;
  throw nameTaken(filename);
}

const UNKNOWN = { hash: null, size: null };

/** Only the vendor deletes a file, so that a taken name stays taken. */
export function nameTaken(filename: string): Error {
  return targetError({
    kind: 'startrail',
    class: 'conflict',
    message: `the name ${filename} is taken by another content, and only the vendor can free it: upload it under another name, or with "uniqueName"`,
    ids: { filename },
  });
}

/** The digest that is known, or else from a pass of its own. */
async function sha256Of({ body, context }: PutFile): Promise<string | null> {
  const { sha256 } = context.digests;
  if (typeof sha256 === 'string') return sha256;
  if (!body.reopenable) return null;
  const hash = createHash('sha256');
  for await (const piece of piecesOf(await body.open(), new Uint8Array(256 * 1024))) {
    hash.update(piece);
  }
  return hash.digest('hex');
}

async function pause(
  settings: StartrailSettings,
  attempt: number,
  signal: AbortSignal,
): Promise<void> {
  const ceilingMs = Math.min(MAX_PAUSE_MS, BASE_PAUSE_MS * 2 ** attempt);
  await pauseFor(ceilingMs * (0.5 + settings.random() / 2), settings.clock, signal);
}
