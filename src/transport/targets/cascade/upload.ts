import { createHash, randomUUID } from 'node:crypto';
import { isOrbweaverError } from '../../../errors.js';
import { targetError } from '../errors.js';
import type { TargetResponse } from '../http.js';
import { numberOf, objectOf, textOf } from '../json-fields.js';
import { filePartBody, multipartType } from '../multipart-body.js';
import { pauseFor } from '../pause.js';
import type { PartBody, StepContext, TargetNote } from '../ports.js';
import { type CascadeApi, classOfUpload } from './api.js';
import type { CascadeSettings } from './options.js';

/** What the server says of a file that it has taken. */
export interface Uploaded {
  readonly fileId: string;
  /** One burn per volume, decimal texts in the order of the server. */
  readonly amounts: readonly string[];
  readonly totalFee: string;
  /** SHA3-256 of what was sent, in case the server compares by that. */
  readonly sha3: string;
}

/** Each call makes another copy, so that an upload is repeated twice at most. */
const MAX_REPEATS = 2;
const MIB = 1024 * 1024;

/**
 * Sends the whole file in one request. It is no request that can be repeated for nothing: a repeat
 * may leave a copy at the server, which is noted.
 * @throws OrbweaverError of a class
 */
export async function uploadFile(
  api: CascadeApi,
  settings: CascadeSettings,
  file: { readonly name: string; readonly body: PartBody; readonly context: StepContext },
): Promise<Uploaded> {
  const { body, context } = file;
  for (let repeat = 0; ; repeat++) {
    const last = repeat === MAX_REPEATS || !body.reopenable;
    try {
      const { response, sha3 } = await attempt(api, settings, file);
      if (response.status === 201 || response.status === 200) {
        return readUploaded(response, sha3, api);
      }
      if (last && mayRepeat(response)) await context.note('upload-given-up', {});
      if (last || !mayRepeat(response)) {
        throw api.failure(response, 'uploading the file', { class: classOfUpload(response) });
      }
    } catch (error) {
      const lost =
        isOrbweaverError(error) && (error.code === 'NETWORK' || error.code === 'STALLED');
      if (!lost) throw error;
      await context.note('stray-copy', { why: error.code });
      if (last) {
        await context.note('upload-given-up', {});
        throw error;
      }
    }
    await pause(settings, repeat, context.signal);
  }
}

/** The uploads of a run were used up, and no later run has begun. */
export function uploadsGivenUp(notes: readonly TargetNote[]): boolean {
  const last = notes.findLast(({ kind }) => kind.startsWith('upload-'));
  return last?.kind === 'upload-given-up';
}

async function attempt(
  api: CascadeApi,
  settings: CascadeSettings,
  file: { readonly name: string; readonly body: PartBody; readonly context: StepContext },
): Promise<{ response: TargetResponse; sha3: string }> {
  const { name, body, context } = file;
  const boundary = `orbweaver-${randomUUID()}`;
  const sha3 = createHash('sha3-256');
  let sentBytes = 0;
  const response = await api.http.request({
    method: 'POST',
    url: api.url(settings.apiVersion === 2 ? '/v2/upload' : '/upload'),
    headers: { 'content-type': multipartType(boundary) },
    body: async () =>
      filePartBody({
        field: 'file',
        fileName: name,
        boundary,
        file: await body.open(),
        sizeBytes: body.sizeBytes,
        onBytes: (bytes) => {
          sha3.update(bytes);
          sentBytes += bytes.length;
          if (sentBytes === body.sizeBytes)
            context.progress({ stage: 'splitting', fraction: null });
        },
      }),
    repeatable: false,
    signal: context.signal,
    timeoutMs: uploadTimeoutMs(body.sizeBytes),
  });
  return { response, sha3: sha3.digest('hex') };
}

/** Ten minutes, a second per 10 MiB for splitting, and the way there at 64 KiB a second. */
function uploadTimeoutMs(sizeBytes: number): number {
  return 600_000 + Math.ceil(sizeBytes / (10 * MIB)) * 1000 + Math.ceil(sizeBytes / 65_536) * 1000;
}

function mayRepeat(response: TargetResponse): boolean {
  if (response.status === 501 || response.status === 507) return false;
  return (
    response.status >= 500 || response.status === 429 || classOfUpload(response) === 'transient'
  );
}

async function pause(
  settings: CascadeSettings,
  repeat: number,
  signal: AbortSignal,
): Promise<void> {
  await pauseFor((1 + settings.random()) * 1000 * 2 ** repeat, settings.clock, signal);
}

/** @throws OrbweaverError `PROTOCOL` */
function readUploaded(response: TargetResponse, sha3: string, api: CascadeApi): Uploaded {
  const json = objectOf(response.json);
  const fileId = textOf(json?.['file_id']);
  const several = json?.['required_preburn_transaction_amounts'];
  const one = json?.['required_preburn_amount'];
  const list: readonly unknown[] = Array.isArray(several)
    ? several
    : one === undefined
      ? []
      : [one];
  const amounts = list.map(textOf);
  const totalFee = textOf(json?.['total_estimated_fee']);
  if (!/^[A-Za-z0-9]{1,64}$/.test(fileId) || amounts.some((each) => numberOf(each) === null)) {
    throw targetError({
      kind: 'cascade',
      class: 'permanent',
      code: 'PROTOCOL',
      message: `the response to the upload expected "file_id" and amounts, got ${api.http.mask(response.text.slice(0, 200))}`,
    });
  }
  return { fileId, amounts, totalFee, sha3 };
}

/** Part of the fee that is burned in advance, and how far the sum may be off. */
const PREBURN = 0.2;
const TOLERANCE = 0.02;

/**
 * Whether the amounts belong to the fee, and to the volumes. Nobody pays before that.
 * @throws OrbweaverError class permanent
 */
export function checkAmounts(
  uploaded: Uploaded,
  volumeCount: number,
  maxFee: number | undefined,
): void {
  const { amounts, totalFee, fileId } = uploaded;
  const stop = (message: string, cls: 'permanent' | 'quota' = 'permanent'): Error =>
    targetError({
      kind: 'cascade',
      class: cls,
      message: `nothing was paid: ${message}`,
      ids: { fileId },
    });
  if (amounts.length !== volumeCount) {
    throw stop(`expected an amount for each of ${volumeCount} volumes, got ${amounts.length}`);
  }
  const sum = amounts.reduce((total, amount) => total + Number(amount), 0);
  const expected = Number(totalFee) * PREBURN;
  if (!(Math.abs(sum - expected) <= Math.max(0.01, expected * TOLERANCE))) {
    throw stop(`expected amounts of 20% of the fee ${totalFee}, got ${sum}`);
  }
  if (maxFee !== undefined && Number(totalFee) > maxFee) {
    throw stop(`expected a fee of at most ${maxFee}, got ${totalFee}`, 'quota');
  }
}
