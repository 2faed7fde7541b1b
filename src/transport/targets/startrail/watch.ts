import { targetError } from '../errors.js';
import { numberOf } from '../json-fields.js';
import type { Done, Failed, Pending, StepContext } from '../ports.js';
import type { FileState } from './api.js';
import { cidProfileOf } from './cid.js';
import type { StartrailSettings } from './options.js';
import { nameTaken } from './put.js';

const GIB = 1024 ** 3;

/** What is stored and not known yet. */
export function storedPending(
  settings: StartrailSettings,
  stored: { readonly filename: string; readonly finalUrl: string; readonly storedMs: number },
): Pending {
  const { filename, finalUrl, storedMs } = stored;
  return {
    state: 'pending',
    ids: { filename, finalUrl, issuer: settings.issuer },
    // How far the calculation is, nobody says.
    progress: { stage: 'hashing', fraction: null },
    data: { storedMs },
    pollMs: settings.pollMs,
  };
}

/** What a look at the metadata means for a file that was stored. */
export function stateOfFile(
  settings: StartrailSettings,
  { pending, context }: { readonly pending: Pending; readonly context: StepContext },
  file: FileState,
): Pending | Done | Failed {
  const { ids } = pending;
  const { filename = '', finalUrl = '' } = ids;
  const failed = (error: Error): Failed => ({ state: 'failed', ids, error });
  const nowMs = settings.clock.unixMs();
  const storedMs = Math.min(numberOf(pending.data?.['storedMs']) ?? nowMs, nowMs);
  const waitedMs = nowMs - storedMs;
  if (file.state === 'missing') {
    return waitedMs < settings.visibleMs ? pending : failed(neverVisible(filename, waitedMs));
  }
  const { sha256 } = context.digests;
  const { sizeBytes } = context.source;
  const otherHash = file.hash !== null && typeof sha256 === 'string' && file.hash !== sha256;
  const otherSize = file.size !== null && file.size !== sizeBytes;
  // Another length cannot be ours: the name was taken, and nobody said so before.
  if (otherHash && otherSize) return failed(nameTaken(filename));
  if (file.state === 'calculating') {
    const allowedMs = settings.deadlineMsPerGiB * Math.max(1, Math.ceil(sizeBytes / GIB));
    return waitedMs < allowedMs ? pending : failed(stalled(filename, finalUrl, waitedMs));
  }
  const cidProfile = cidProfileOf(file.cid, context.digests);
  if (cidProfile === 'unknown' && settings.strictCid === true && !otherHash && !otherSize) {
    return failed(
      targetError({
        kind: 'startrail',
        class: 'integrity',
        message: `the CID of ${filename} expected to be that of a known importer, got ${file.cid}`,
        ids,
      }),
    );
  }
  return {
    state: 'done',
    ids: { filename, finalUrl, issuer: settings.issuer, cid: file.cid },
    deduplicated: false,
    evidence: { sizeBytes: file.size, digests: { sha256: file.hash } },
    details: { hash: `sha256-${file.hash}`, cid: file.cid, size: file.size, cidProfile },
  };
}

/** The journal is dropped with it, so that the next upload stores the file again. */
function neverVisible(filename: string, waitedMs: number): Error {
  return targetError({
    kind: 'startrail',
    class: 'permanent',
    code: 'NOT_FOUND',
    message: `${filename} expected to be visible after it was stored, got 404 for ${Math.round(waitedMs / 1000)} s: upload it again`,
    ids: { filename },
  });
}

function stalled(filename: string, finalUrl: string, waitedMs: number): Error {
  return targetError({
    kind: 'startrail',
    class: 'unknown-outcome',
    message: `${filename} is stored, and its hash is still being calculated after ${Math.round(waitedMs / 60_000)} minutes: ask the vendor`,
    ids: { filename, finalUrl },
  });
}
