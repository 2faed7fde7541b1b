import type { Source, TransferJournal } from '../../client/ports.js';
import { asError, isOrbweaverError } from '../../errors.js';
import { classOf } from './errors.js';
import { compareEvidence } from './evidence.js';
import type {
  Done,
  Failed,
  Pending,
  RunTargetOptions,
  TargetResult,
  UploadTarget,
} from './ports.js';
import { createTransfer, type Transfer } from './transfer.js';
import { replay } from './transfer-journal.js';
import { type WatchItem, watch } from './watch.js';

/**
 * Uploads a file to a target and resolves when it is there and was checked. With a journal, a later
 * call with the same one goes on where this one stopped, however it stopped; the journal is dropped
 * when the transfer is done or can never be. Without one, a cancelled transfer is cancelled at the
 * target, too.
 *
 * @throws OrbweaverError whose `fields.class` is a `TargetErrorClass`; `INPUT_*`, `ABORTED`,
 * `UNSUPPORTED` for a source of unknown size
 * @example
 * const result = await runTarget(source, target, { clock, random, digests });
 * console.log(result.ids, result.verified);
 */
export async function runTarget(
  source: Source,
  target: UploadTarget,
  options: RunTargetOptions,
): Promise<TargetResult> {
  const [outcome] = await runTargets([{ source, options }], target);
  if (outcome === undefined || outcome instanceof Error) throw outcome;
  return outcome;
}

/** A file among several. */
export interface TargetInput {
  readonly source: Source;
  readonly options: RunTargetOptions;
}

/**
 * The same for many: one is sent after another, and all that are slow over there are watched together.
 * A file that fails is an error in its place; the others go on.
 */
export async function runTargets(
  inputs: readonly TargetInput[],
  target: UploadTarget,
): Promise<readonly (TargetResult | Error)[]> {
  const outcomes: (TargetResult | Error | undefined)[] = inputs.map(() => undefined);
  const transfers: Transfer[] = [];
  const waiting: (WatchItem & { readonly index: number })[] = [];
  const settle = async (index: number, outcome: Done | Failed | Error): Promise<void> => {
    const { journal } = (inputs[index] as TargetInput).options;
    const transfer = transfers[index];
    outcomes[index] = await resultOf({ target, transfer, outcome, journal });
    transfer?.scope.close();
  };
  for (const [index, { source, options }] of inputs.entries()) {
    try {
      const transfer = createTransfer(source, target, options);
      transfers[index] = transfer;
      const submitted: Pending | Done = await transfer.submit();
      if (submitted.state === 'pending') waiting.push({ index, transfer, pending: submitted });
      else await settle(index, submitted);
    } catch (error) {
      await settle(index, asError(error));
    }
  }
  const [first] = inputs;
  if (first !== undefined && waiting.length > 0) {
    const { clock } = first.options;
    const watched = await watch(target, waiting, () => clock.now());
    for (const [i, outcome] of watched.entries()) {
      await settle((waiting[i] as { index: number }).index, outcome);
    }
  }
  return outcomes as (TargetResult | Error)[];
}

interface Ending {
  readonly target: UploadTarget;
  /** Undefined: it failed before there was one. */
  readonly transfer: Transfer | undefined;
  readonly outcome: Done | Failed | Error;
  readonly journal: TransferJournal | undefined;
}

async function resultOf(ending: Ending): Promise<TargetResult | Error> {
  const { target, transfer, outcome, journal } = ending;
  try {
    if (outcome instanceof Error) throw outcome;
    if (outcome.state === 'failed') throw outcome.error;
    if (transfer === undefined) throw new TypeError('"transfer" expected one that is done');
    const { source } = transfer.context;
    const { digests } = transfer;
    const { kind } = target;
    const { sizeBytes, name } = source;
    const { verified, compared } = compareEvidence({ kind, done: outcome, sizeBytes, digests });
    transfer.report({ phase: 'done', acknowledgedBytes: sizeBytes, inFlightBytes: 0 });
    await journal?.drop();
    return {
      kind,
      state: 'done',
      name,
      sizeBytes,
      ids: outcome.ids,
      verified,
      deduplicated: outcome.deduplicated,
      digests,
      details: { ...outcome.details, compared },
    };
  } catch (error) {
    await giveUp(ending, error);
    return asError(error);
  }
}

/** What can go on stays in the journal; what nobody can go on with is cleared away. */
async function giveUp(ending: Ending, error: unknown): Promise<void> {
  const { target, transfer, outcome, journal } = ending;
  const cancelled = isOrbweaverError(error) && error.code === 'ABORTED';
  if (journal === undefined) {
    const plan = transfer?.plan ?? null;
    if (cancelled && plan !== null && transfer !== undefined && target.cancel !== undefined) {
      await target.cancel(plan, outliving(transfer)).catch(() => undefined);
    }
    return;
  }
  const failure = classOf(error);
  const over = !(outcome instanceof Error) && outcome.state === 'failed';
  // What goes wrong on this machine (its disk, its threads) says nothing about the transfer.
  const isAboutIt =
    isOrbweaverError(error) && ('target' in error.fields || error.code === 'INPUT_CHANGED');
  const isFinal = failure === 'permanent' || failure === 'conflict' || failure === 'integrity';
  const never = over || (isAboutIt && isFinal);
  // Nothing was begun over there, so there is nothing to go on with, and nothing was paid. What may
  // pass by itself (the network, an interruption) keeps the digests for the next run.
  const { notes, prior } = replay(journal.entries);
  const refused =
    prior === null && notes.length === 0 && failure !== null && failure !== 'transient';
  // What was paid for is never forgotten.
  if (refused || (never && !target.abilities.costsMoney)) await journal.drop();
  else await journal.close();
}

/** A context for the one call that is made after the transfer was cancelled. */
function outliving({ context }: Transfer): Transfer['context'] {
  return {
    source: context.source,
    signal: new AbortController().signal,
    digests: context.digests,
    notes: context.notes,
    note: (kind, data) => context.note(kind, data),
    progress: () => undefined,
    sent: () => undefined,
  };
}

/**
 * Gives up a transfer that an earlier run left: at the target, as far as that can be, and here.
 * @returns what the target says; `unsupported` when it cannot cancel, or nothing was planned
 */
export async function cancelTransfer(
  target: UploadTarget,
  journal: TransferJournal,
  signal: AbortSignal,
): Promise<'cancelled' | 'too-late' | 'unsupported'> {
  const { prior, notes, digests } = replay(journal.entries);
  if (prior === null || target.cancel === undefined) {
    await journal.drop();
    return 'unsupported';
  }
  const { ids, state } = prior;
  const outcome = await target.cancel(
    { ids, state, parts: [] },
    {
      source: { name: '', sizeBytes: 0, reopenable: false, modifiedMs: null, digests },
      signal,
      digests,
      notes,
      note: async () => undefined,
      progress: () => undefined,
      sent: () => undefined,
    },
  );
  if (outcome !== 'too-late') await journal.drop();
  else await journal.close();
  return outcome;
}
