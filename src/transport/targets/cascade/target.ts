import type { JsonRecord } from '../../../client/ports.js';
import { isOrbweaverError } from '../../../errors.js';
import { targetError } from '../errors.js';
import { textOf } from '../json-fields.js';
import type {
  Done,
  Part,
  PartAck,
  Pending,
  Plan,
  PriorTransfer,
  StepContext,
  UploadTarget,
} from '../ports.js';
import { type CascadeApi, createCascadeApi } from './api.js';
import type { CascadeDetails } from './details.js';
import { uploadName } from './names.js';
import { type CascadeOptions, type CascadeSettings, cascadeSettings } from './options.js';
import { coinsMoved, payAll } from './payment.js';
import { lookForStart, startNoted, startOnce, startUnknown, uploadLost } from './start.js';
import { createTaskSockets, type TaskSockets } from './task-sockets.js';
import { checkAmounts, type Uploaded, uploadFile, uploadsGivenUp } from './upload.js';
import { stateAfterStart } from './watch.js';

/**
 * Cascade: the server takes a whole file, cuts it into volumes when it is large, and registers each on
 * a block chain, which costs coins and takes minutes to hours.
 *
 *     send      POST v2/upload      a file id and one amount per volume
 *     commit    a burn per amount, then one start: both are in the journal before they are made
 *     status    registration_details until all is concluded and the ticket is there
 *
 * What it never does: pay twice, start twice, restore.
 *
 * @throws TypeError, RangeError, OrbweaverError as {@link cascadeSettings}
 * @example
 * const target = createCascadeTarget({
 *   url: 'https://walletnode.example', pastelId, passphrase, acceptCost: true,
 *   payBurn: ({ amount, reference }) => wallet.burn(amount, reference),
 *   findBurn: ({ reference }) => wallet.find(reference),
 *   exchange, clock, random,
 * });
 */
export function createCascadeTarget(options: CascadeOptions): UploadTarget {
  const settings = cascadeSettings(options);
  const api = createCascadeApi(settings);
  const sockets = createTaskSockets(
    settings.openSocket,
    (taskId) => taskUrl(api, taskId),
    settings.clock,
  );
  return {
    kind: 'cascade',
    abilities: {
      unit: 'whole',
      parallelParts: 1,
      resume: 'state-only',
      dedup: 'none',
      asyncCommit: true,
      costsMoney: true,
      cancel: 'client-only',
    },
    digests: { beforePlan: [], beforeCommit: ['sha256'] },
    repeatable: { send: 'after-check', commit: 'never' },
    plan: (context, prior) => planUpload(api, settings, context, prior),
    async send(plan, part, body, context) {
      const name = textOf(plan.state['name']);
      const uploaded = await uploadFile(api, settings, { name, body, context });
      return { index: part.index, ids: idsOf(uploaded) };
    },
    async commit(_plan, acks, context) {
      const uploaded = uploadedOf(acks);
      const { fileId } = uploaded;
      const details = await api.details(fileId, context.signal);
      if (details.stage === 'unknown') throw uploadLost({ fileId });
      checkContent(details, uploaded, context);
      // It runs already: whoever started it has paid for it.
      if (details.stage !== 'uploaded')
        return pendingOrDone(settings, uploaded, { context, details });
      const { sent, txids: burnt } = startNoted(context.notes, fileId);
      if (sent && settings.startWhenAbsent !== true) throw startUnknown(fileId, burnt);
      checkAmounts(uploaded, details.volumes.length, settings.maxFee);
      const txids = await payAll(settings, uploaded, context);
      const taskIds = await startOnce(api, settings, { fileId, txids, context });
      const unqueuedCount = details.volumes.length - taskIds.length;
      return pendingOf(settings, uploaded, { unqueuedCount });
    },
    async status(_plan, pending, context) {
      const fileId = pending.ids['fileId'] ?? '';
      let details: CascadeDetails;
      try {
        details = await api.details(fileId, context.signal);
      } catch (error) {
        // Hours pass here: an outage is no outcome. The engine's patience is the bound.
        if (isOrbweaverError(error) && error.retryable) return pending;
        throw error;
      }
      sockets.follow(details.volumes);
      const upload = { fileId, sha3: textOf(pending.data?.['sha3']), digests: context.digests };
      return stateAfterStart(settings, upload, withWords(details, sockets), pending);
    },
    async check(_plan, step, context) {
      // A file that was taken has an id that nobody got: it cannot be looked for, and costs nothing.
      if (step.step === 'send') return { made: uploadsGivenUp(context.notes) ? 'unknown' : 'no' };
      const uploaded = uploadedOf(step.acks);
      const { fileId } = uploaded;
      const start = startNoted(context.notes, fileId);
      if (!start.sent) return { made: 'no' };
      try {
        const details = await lookForStart(api, settings, { fileId, txids: start.txids, context });
        return { made: 'yes', result: pendingOrDone(settings, uploaded, { context, details }) };
      } catch (error) {
        const absent = isOrbweaverError(error) && error.code === 'OUTCOME_UNKNOWN';
        if (absent && settings.startWhenAbsent === true) return { made: 'no' };
        throw error;
      }
    },
    async cancel(_plan, context) {
      // There is nothing to call: the copy stays at the server, and so does what was paid.
      const started = context.notes.some(({ kind }) => kind === 'start');
      return started || coinsMoved(context.notes) ? 'too-late' : 'cancelled';
    },
    close: async () => sockets.close(),
  };
}

function taskUrl(api: CascadeApi, taskId: string): URL {
  const url = api.url(`/start/${encodeURIComponent(taskId)}/state`);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  return url;
}

function withWords(details: CascadeDetails, sockets: TaskSockets): CascadeDetails {
  const volumes = details.volumes.map((volume) => ({
    ...volume,
    says: sockets.saidBy(volume.taskId),
  }));
  return { ...details, volumes };
}

async function planUpload(
  api: CascadeApi,
  settings: CascadeSettings,
  context: StepContext,
  prior: PriorTransfer | undefined,
): Promise<Plan> {
  const { source } = context;
  const name = uploadName(source.name, settings.safeName === true);
  const whole: Part = { index: 0, start: 0, end: source.sizeBytes };
  const fresh: Plan = { ids: {}, state: { name }, parts: [whole] };
  const [ack] = prior?.acks ?? [];
  if (uploadsGivenUp(context.notes)) await context.note('upload-again', {});
  if (prior === undefined || ack === undefined) return fresh;
  const uploaded = uploadedOf([ack]);
  const { fileId } = uploaded;
  const details = await api.details(fileId, context.signal);
  const start = startNoted(context.notes, fileId);
  if (details.stage === 'unknown') {
    if (!start.sent) return fresh;
    throw targetError({
      kind: 'cascade',
      class: 'unknown-outcome',
      message: `the server no longer knows ${fileId}, whose start was sent: it is not paid again, look for its burn transactions`,
      ids: { fileId, burnTxids: start.txids.join(',') },
    });
  }
  checkContent(details, uploaded, context);
  // The same ids as before: what was acknowledged stays.
  const plan: Plan = { ids: {}, state: { name }, parts: [], presentBytes: source.sizeBytes };
  if (details.stage === 'uploaded') return plan;
  return { ...plan, pending: pendingOf(settings, uploaded) };
}

interface Look {
  readonly context: StepContext;
  readonly details: CascadeDetails;
}

/** @throws OrbweaverError when the look shows that it failed */
function pendingOrDone(settings: CascadeSettings, uploaded: Uploaded, look: Look): Pending | Done {
  const { fileId, sha3 } = uploaded;
  const upload = { fileId, sha3, digests: look.context.digests };
  const state = stateAfterStart(settings, upload, look.details, null);
  if (state.state === 'failed') throw state.error;
  return state;
}

/** An upload that was started; `status` says where it stands. */
function pendingOf(
  settings: CascadeSettings,
  { fileId, sha3 }: Uploaded,
  details: JsonRecord = {},
): Pending {
  return {
    state: 'pending',
    ids: { fileId, pastelId: settings.pastelId },
    progress: { stage: 'registering', fraction: 0, details },
    data: { sha3 },
    pollMs: settings.pollMs,
    patienceMs: settings.patienceMs,
  };
}

/** @throws OrbweaverError class integrity: what is under this id is not what was sent */
function checkContent(details: CascadeDetails, uploaded: Uploaded, context: StepContext): void {
  const { hash, sizeBytes } = details;
  const { sha256 } = context.digests;
  const { sizeBytes: expectedBytes } = context.source;
  const known = typeof sha256 === 'string' && hash !== '';
  if (known && hash !== sha256 && hash !== uploaded.sha3) {
    throw integrity(uploaded, `the hash ${sha256}, got ${hash}`);
  }
  if (sizeBytes !== null && sizeBytes !== expectedBytes) {
    throw integrity(uploaded, `${expectedBytes} bytes, got ${sizeBytes}`);
  }
}

function integrity({ fileId }: Uploaded, what: string): Error {
  return targetError({
    kind: 'cascade',
    class: 'integrity',
    message: `the upload ${fileId} expected ${what}; nothing was started`,
    ids: { fileId },
  });
}

function idsOf({ fileId, amounts, totalFee, sha3 }: Uploaded): Readonly<Record<string, string>> {
  return { fileId, amounts: amounts.join(','), totalFee, sha3 };
}

/** @throws OrbweaverError `PROTOCOL` for an acknowledgement without ids */
function uploadedOf(acks: readonly PartAck[]): Uploaded {
  const ids = acks[0]?.ids ?? {};
  const { fileId = '', amounts = '', totalFee = '', sha3 = '' } = ids;
  if (fileId === '') {
    throw targetError({
      kind: 'cascade',
      class: 'permanent',
      code: 'PROTOCOL',
      message: 'the upload expected to have a file id, got none',
    });
  }
  return { fileId, amounts: amounts === '' ? [] : amounts.split(','), totalFee, sha3 };
}
