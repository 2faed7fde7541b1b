import { textOf } from '../json-fields.js';
import type {
  Checked,
  Done,
  Failed,
  PartAck,
  Pending,
  Plan,
  StepContext,
  StepRef,
  UploadTarget,
} from '../ports.js';
import { createStartrailApi, type FileState, type StartrailApi } from './api.js';
import { storedName } from './names.js';
import { type StartrailOptions, type StartrailSettings, startrailSettings } from './options.js';
import { nameTaken, type PutFile, putFile, putsNoted, sameContent } from './put.js';
import { stateOfFile, storedPending } from './watch.js';

/**
 * File metadata (Startrail): a signed URL, one PUT of the whole file, and then the wait until the
 * service has calculated hash and CID. Hash and size are compared; the CID is classified.
 *
 *     send      fileMetadata (is the name free?), signedUrls, PUT
 *     commit    nothing: what is stored is committed
 *     status    fileMetadata, up to 50 names in one request
 *
 * @throws TypeError, RangeError, OrbweaverError as {@link startrailSettings}
 * @example
 * const target = createStartrailTarget({
 *   url: 'https://api.example', apiKey, issuer, exchange, clock, random,
 * });
 */
export function createStartrailTarget(options: StartrailOptions): UploadTarget {
  const settings = startrailSettings(options);
  const api = createStartrailApi(settings);
  const unique = settings.uniqueName === true;
  return {
    kind: 'startrail',
    abilities: {
      unit: 'whole',
      parallelParts: 1,
      resume: 'state-only',
      dedup: 'none',
      asyncCommit: true,
      costsMoney: false,
      cancel: 'client-only',
      maxBytes: settings.maxBytes,
    },
    digests: {
      beforePlan: unique ? ['sha256'] : [],
      beforeCommit: ['sha256', 'cidRaw', 'cid256KiB174', 'cid1MiB1024'],
    },
    repeatable: { send: 'yes', commit: 'yes' },
    async plan(context): Promise<Plan> {
      const { source, digests } = context;
      const sha256 = digests.sha256 ?? source.digests.sha256 ?? null;
      const filename = storedName(source.name, {
        safe: settings.safeName === true,
        sha256: unique ? sha256 : null,
      });
      return {
        ids: { filename },
        state: {},
        parts: [{ index: 0, start: 0, end: source.sizeBytes }],
      };
    },
    async send(plan, part, body, context): Promise<PartAck> {
      const file: PutFile = { filename: filenameOf(plan), body, context };
      const finalUrl = (await alreadyThere(api, file)) ?? (await putFile(api, settings, file));
      const storedMs = String(settings.clock.unixMs());
      return { index: part.index, ids: { finalUrl, storedMs } };
    },
    async commit(plan, acks): Promise<Pending> {
      const { finalUrl = '', storedMs = '' } = acks[0]?.ids ?? {};
      const filename = filenameOf(plan);
      return storedPending(settings, { filename, finalUrl, storedMs: Number(storedMs) });
    },
    async status(_plan, pending, context) {
      const [state] = await statesOf(api, settings, [{ pending, context }]);
      return state as Pending | Done | Failed;
    },
    statusAll: (transfers) => statesOf(api, settings, transfers),
    check: (plan, step, context) => checkStored(api, { plan, step, context }),
    // An aborted PUT stores nothing, and what is stored stays.
    cancel: async () => 'cancelled',
  };
}

function filenameOf(plan: Plan): string {
  return textOf(plan.ids['filename']);
}

/**
 * Whether the name is in use before anything is sent. The same content counts as stored (a run that
 * was killed after its PUT); another one is a conflict. Null: the name is free.
 */
async function alreadyThere(api: StartrailApi, file: PutFile): Promise<string | null> {
  const { filename, context } = file;
  const [state] = await api.files([filename], context.signal);
  if (state === undefined || state.state === 'missing') return null;
  const puts = putsNoted(context, filename);
  return sameContent(file, { finalUrl: puts.at(-1) ?? '', state, maybeOurs: puts.length > 0 });
}

async function checkStored(
  api: StartrailApi,
  asked: { readonly plan: Plan; readonly step: StepRef; readonly context: StepContext },
): Promise<Checked> {
  const { plan, step, context } = asked;
  const [state] = await api.files([filenameOf(plan)], context.signal);
  if (state === undefined || state.state === 'missing') return { made: 'no' };
  if (step.step === 'commit') return { made: 'unknown' };
  const { sha256 } = context.digests;
  const known = state.hash !== null && typeof sha256 === 'string';
  if (!known) return { made: 'unknown' };
  if (state.hash !== sha256) throw nameTaken(filenameOf(plan));
  return { made: 'yes', result: { index: step.part.index } };
}

/** Asks in batches, and says of each what it means. */
async function statesOf(
  api: StartrailApi,
  settings: StartrailSettings,
  transfers: readonly { readonly pending: Pending; readonly context: StepContext }[],
): Promise<readonly (Pending | Done | Failed)[]> {
  const results: (Pending | Done | Failed)[] = [];
  for (let at = 0; at < transfers.length; at += settings.batchCount) {
    const batch = transfers.slice(at, at + settings.batchCount);
    const names = batch.map(({ pending }) => pending.ids['filename'] ?? '');
    const files: readonly FileState[] = await api.files(
      names,
      (batch[0] as { context: StepContext }).context.signal,
    );
    batch.forEach((transfer, index) => {
      results.push(stateOfFile(settings, transfer, files[index] ?? { state: 'missing' }));
    });
  }
  return results;
}
