import { isOrbweaverError } from '../../../errors.js';
import { Scope } from '../../../flow/index.js';
import { targetError } from '../errors.js';
import { objectOf, textOf } from '../json-fields.js';
import type { StepContext, TargetIds, TargetNote } from '../ports.js';
import { type CascadeApi, saidBy } from './api.js';
import type { CascadeDetails } from './details.js';
import type { CascadeSettings } from './options.js';

/**
 * The start is sent once. The journal has `start` before it leaves; `start-refused` follows when the
 * server certainly did nothing. A start without that word may have been made: it is looked for by the
 * id of the file, and never sent again.
 */

/**
 * Sends the start and resolves with the tasks that it made, which may be fewer than there are volumes.
 * A failure of the class `transient` leaves open whether it was made: {@link lookForStart} says.
 * @throws OrbweaverError of a class
 */
export async function startOnce(
  api: CascadeApi,
  settings: CascadeSettings,
  start: {
    readonly fileId: string;
    readonly txids: readonly string[];
    readonly context: StepContext;
  },
): Promise<readonly string[]> {
  const { fileId, txids, context } = start;
  const { spendableAddress, pastelId, makePublic = false } = settings;
  await context.note('start', { fileId, txids });
  context.progress({ stage: 'starting', fraction: null });
  const response = await api.spend(
    `/start/${encodeURIComponent(fileId)}`,
    {
      burn_txids: txids,
      app_pastelid: pastelId,
      make_publicly_accessible: makePublic,
      ...(spendableAddress === undefined ? {} : { spendable_address: spendableAddress }),
    },
    context.signal,
  );
  if (response.status === 201 || response.status === 200) {
    const taskIds = textOf(objectOf(response.json)?.['task_id']).split(',').filter(Boolean);
    await context.note('started', { fileId, taskIds });
    return taskIds;
  }
  const unknownFile = /valid base-file-id/i.test(saidBy(response));
  // Any other 5xx, "already in progress" among them, leaves open whose start was made.
  if (response.status < 500 || unknownFile) {
    await context.note('start-refused', { fileId, txids, status: response.status });
  }
  if (unknownFile) throw uploadLost({ fileId });
  throw api.failure(response, 'starting the registration', {
    ids: { fileId, burnTxids: txids.join(',') },
  });
}

/** The upload is no longer at the server: it has to be sent again, and what was paid stays good. */
export function uploadLost(ids: TargetIds): Error {
  return targetError({
    kind: 'cascade',
    class: 'transient',
    message: 'the server no longer has the upload: it has to be sent again',
    ids,
    planAgain: true,
  });
}

/** What {@link lookForStart} looks for. */
export interface StartLookup {
  readonly fileId: string;
  readonly txids: readonly string[];
  readonly context: StepContext;
}

/** First pause between two looks, ms; doubles. */
const FIRST_LOOK_MS = 1000;

/**
 * Looks until a task shows that the start was made. @throws OrbweaverError `OUTCOME_UNKNOWN` with the
 * ids when none does in time
 */
export async function lookForStart(
  api: CascadeApi,
  settings: CascadeSettings,
  { fileId, txids, context }: StartLookup,
): Promise<CascadeDetails> {
  const scope = new Scope({ clock: settings.clock, signal: context.signal, what: 'the transfer' });
  const endMs = settings.clock.now() + settings.lookupMs;
  let pauseMs = FIRST_LOOK_MS;
  let failure: unknown;
  try {
    for (;;) {
      try {
        const details = await api.details(fileId, context.signal);
        if (details.stage !== 'unknown' && details.stage !== 'uploaded') return details;
      } catch (error) {
        if (!isOrbweaverError(error) || error.code === 'ABORTED') throw error;
        failure = error;
      }
      if (settings.clock.now() + pauseMs > endMs) break;
      await scope.sleep(pauseMs);
      pauseMs = Math.min(pauseMs * 2, settings.pollMs.first);
    }
  } finally {
    scope.close();
  }
  throw startUnknown(fileId, txids, failure);
}

/** The start may have been made, and nobody knows. */
export function startUnknown(fileId: string, txids: readonly string[], cause?: unknown): Error {
  return targetError({
    kind: 'cascade',
    class: 'unknown-outcome',
    message: `the start of ${fileId} may have been made, and nothing shows it; it is not sent again: look at its registration details, and for its burn transactions`,
    ids: { fileId, burnTxids: txids.join(',') },
    cause,
  });
}

/** What the journal says about the start of an upload. */
export function startNoted(
  notes: readonly TargetNote[],
  fileId: string,
): { readonly sent: boolean; readonly txids: readonly string[] } {
  const last = notes.findLast(
    ({ kind, data }) =>
      (kind === 'start' || kind === 'start-refused' || kind === 'started') &&
      data['fileId'] === fileId,
  );
  const start = notes.findLast(({ kind, data }) => kind === 'start' && data['fileId'] === fileId);
  const txids = start?.data['txids'];
  return {
    sent: last?.kind === 'start' || last?.kind === 'started',
    txids: Array.isArray(txids) ? txids.map(textOf) : [],
  };
}
