import type { Digests } from '../../../digests/ports.js';
import { targetError } from '../errors.js';
import { numberOf, textOf } from '../json-fields.js';
import type { Done, Failed, Pending, TargetIds } from '../ports.js';
import { type CascadeDetails, signatureOf, type VolumeState, volumesJson } from './details.js';
import type { CascadeSettings } from './options.js';

/** What a look at `registration_details` means for a transfer that was started. */
export interface WatchedUpload {
  readonly fileId: string;
  /** SHA3-256 of what was sent; empty when an earlier run did not write it down. */
  readonly sha3: string;
  readonly digests: Digests;
}

/** @param before the look before this one, which may be of an earlier run */
export function stateAfterStart(
  settings: CascadeSettings,
  upload: WatchedUpload,
  details: CascadeDetails,
  before: Pending | null,
): Pending | Done | Failed {
  const ids: TargetIds = { fileId: upload.fileId, pastelId: settings.pastelId };
  if (details.stage === 'done') return doneOf(settings, upload, details);
  const signature = signatureOf(details);
  const nowMs = settings.clock.unixMs();
  const beforeMs = numberOf(before?.data?.['sinceMs']);
  const sinceMs =
    beforeMs !== null && textOf(before?.data?.['signature']) === signature
      ? Math.min(beforeMs, nowMs)
      : nowMs;
  const stalled = nowMs - sinceMs >= settings.stallMs;
  if (stalled && details.volumes.length === 0) return { state: 'failed', ids, error: lost(upload) };
  const given = givenUp(details, stalled);
  if (given !== null) {
    return {
      state: 'failed',
      ids,
      error: targetError({
        kind: 'cascade',
        class: 'permanent',
        message: given,
        ids: { fileId: upload.fileId },
      }),
    };
  }
  const concluded = details.volumes.filter((volume) => volume.concluded).length;
  return {
    state: 'pending',
    ids,
    progress: {
      stage: details.stage === 'unknown' ? 'registering' : details.stage,
      fraction: details.volumes.length === 0 ? null : concluded / details.volumes.length,
      details: volumesJson(details),
    },
    data: { signature, sinceMs, sha3: upload.sha3 },
    pollMs: settings.pollMs,
    patienceMs: settings.patienceMs,
  };
}

function lost({ fileId }: WatchedUpload): Error {
  return targetError({
    kind: 'cascade',
    class: 'unknown-outcome',
    message: `the server no longer knows ${fileId}, whose start was sent: look for its burn transactions`,
    ids: { fileId },
  });
}

/**
 * Why the upload will not be registered any more, or null. The server tries a failed volume again by
 * itself, up to the fourth attempt; a volume that was never queued waits for `restore` for ever.
 */
function givenUp({ volumes }: CascadeDetails, stalled: boolean): string | null {
  const told = (volume: VolumeState): string => {
    const attempts = volume.registrationCount + volume.activationCount;
    return `volume ${volume.index} (${volume.name}) after ${attempts} attempts: ${volume.error}`;
  };
  const exhausted = volumes.find((volume) => volume.exhausted);
  if (exhausted !== undefined) return `${told(exhausted)}; only a restore tries it again`;
  if (!stalled) return null;
  const failing = volumes.find((volume) => volume.error !== '');
  if (failing !== undefined) return `${told(failing)}; nothing changed since, a restore may help`;
  const unqueued = volumes.find((volume) => volume.taskId === '' && !volume.concluded);
  if (unqueued === undefined) return null;
  return `volume ${unqueued.index} (${unqueued.name}) was never queued by the server; a restore may help`;
}

function doneOf(settings: CascadeSettings, upload: WatchedUpload, details: CascadeDetails): Done {
  const { hash, sizeBytes, txid, volumes } = details;
  const { sha256 } = upload.digests;
  // The ticket names its hash sha3-256; the code says SHA-256. Whichever fits is right.
  const isSha3 = hash !== '' && hash !== sha256 && hash === upload.sha3;
  const evidence = isSha3 ? (sha256 ?? '') : hash;
  return {
    state: 'done',
    ids: {
      fileId: upload.fileId,
      txid,
      pastelId: settings.pastelId,
      ...(volumes.length === 1 ? {} : { regTxids: volumes.map((each) => each.regTxid).join(',') }),
    },
    deduplicated: false,
    evidence: {
      ...(sizeBytes === null ? {} : { sizeBytes }),
      ...(evidence === '' ? {} : { digests: { sha256: evidence } }),
    },
    details: {
      ...volumesJson(details),
      volumeCount: volumes.length,
      hashRule: hash === '' ? 'none' : isSha3 ? 'sha3-256' : 'sha256',
    },
  };
}
