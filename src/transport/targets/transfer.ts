import type { Source } from '../../client/ports.js';
import type { DigestName, Digests } from '../../digests/ports.js';
import { isOrbweaverError, OrbweaverError } from '../../errors.js';
import { Budget, Scope } from '../../flow/index.js';
import { classOf, targetError, wantsNewPlan } from './errors.js';
import type {
  Checked,
  Done,
  Part,
  PartAck,
  Pending,
  Plan,
  RunTargetOptions,
  SourceInfo,
  StepContext,
  StepRef,
  TargetNote,
  TransferProgress,
  UploadTarget,
} from './ports.js';
import { createReading } from './reading.js';
import { checkParts, sendParts } from './send-parts.js';
import {
  createTransferLog,
  missingDigests,
  type Replay,
  replay,
  type TransferLog,
} from './transfer-journal.js';

/** Parts in memory when nothing else is said. */
export const DEFAULT_BUDGET_BYTES: number = 64 * 1024 * 1024;
/** How often a transfer begins again because the target lost what was planned. */
const MAX_PLANS = 3;
/** How often a step is made again after a look said that it was not made. */
const MAX_REPEATS = 4;
const BASE_PAUSE_MS = 1000;
const MAX_PAUSE_MS = 30_000;
/** A server that asks for a longer pause is asked again after this one. */
const MAX_ASKED_PAUSE_MS = 300_000;

/** A file on its way to a target, up to the point from which it is only watched. */
export interface Transfer {
  readonly context: StepContext;
  readonly scope: Scope;
  readonly log: TransferLog;
  /** Null before there is one. */
  readonly plan: Plan | null;
  readonly digests: Digests;
  /** Plans, sends and commits, or goes on where an earlier run stopped. */
  submit(): Promise<Pending | Done>;
  report(progress: Partial<TransferProgress>): void;
}

/**
 * @throws OrbweaverError `UNSUPPORTED` for a source of unknown size, `LIMIT_EXCEEDED` for one that is
 * too large for the target
 */
export function createTransfer(
  source: Source,
  target: UploadTarget,
  options: RunTargetOptions,
): Transfer {
  const { clock, journal, signal } = options;
  const { sizeBytes } = source;
  const kind = target.kind;
  if (sizeBytes === undefined) {
    throw new OrbweaverError(
      'UNSUPPORTED',
      `"${source.name}" expected a source of known size, got a stream: write it to a file first`,
      { path: source.name },
    );
  }
  const { maxBytes } = target.abilities;
  if (maxBytes !== undefined && sizeBytes > maxBytes) {
    throw targetError({
      kind,
      class: 'permanent',
      code: 'LIMIT_EXCEEDED',
      message: `"${source.name}" expected at most ${maxBytes} bytes for ${kind}, got ${sizeBytes}`,
      fields: { limitBytes: maxBytes },
    });
  }
  const scope = new Scope({ clock, signal, what: 'the transfer' });
  const log = createTransferLog(journal);
  const before: Replay = replay(journal?.entries ?? []);
  const notes: TargetNote[] = [...before.notes];
  const budget = options.budget ?? new Budget({ capacityBytes: DEFAULT_BUDGET_BYTES });
  let digests: Digests = before.digests;
  let plan: Plan | null = null;
  let prior = before.prior;

  let progress: TransferProgress = {
    phase: 'digest',
    name: baseName(source.name),
    totalBytes: sizeBytes,
    digestedBytes: 0,
    acknowledgedBytes: 0,
    inFlightBytes: 0,
    target: null,
  };
  const report = (change: Partial<TransferProgress>): void => {
    progress = { ...progress, ...change };
    options.onProgress?.(progress);
  };
  const inFlight = new Map<number, number>();
  const flying = (index: number, bytes: number): void => {
    if (bytes === 0) inFlight.delete(index);
    else inFlight.set(index, bytes);
    let sum = 0;
    for (const each of inFlight.values()) sum += each;
    report({ inFlightBytes: sum });
  };

  const controller = new AbortController();
  scope.onEnd(() => controller.abort(scope.reason));
  const contextFor = (part: Part | null): StepContext => ({
    get source(): SourceInfo {
      return {
        name: progress.name,
        sizeBytes,
        reopenable: source.reopenable,
        modifiedMs: options.modifiedMs ?? null,
        digests,
      };
    },
    signal: controller.signal,
    get digests() {
      return digests;
    },
    notes,
    async note(noteKind, data) {
      notes.push({ kind: noteKind, data });
      await log.note({ kind: noteKind, data });
    },
    progress: (targetProgress) => report({ target: targetProgress }),
    sent: (bytes) => (part === null ? undefined : flying(part.index, bytes)),
  });
  const context = contextFor(null);

  const wanted: readonly DigestName[] = [
    ...target.digests.beforePlan,
    ...target.digests.beforeCommit,
    ...(options.alsoDigests ?? []),
  ];

  const learn = async (more: Digests): Promise<void> => {
    digests = { ...digests, ...more };
    await log.digests(more);
  };
  /** A pass of its own for what is needed before anything can be sent. */
  const digestFirst = async (): Promise<void> => {
    const needed = missingDigests(target.digests.beforePlan, digests);
    if (needed.length === 0 || !source.reopenable) return;
    report({ phase: 'digest' });
    const all = missingDigests(wanted, digests);
    const reading = createReading({
      source,
      sizeBytes,
      scope,
      digests: options.digests.create(all, sizeBytes),
      onRead: (position) => report({ digestedBytes: position }),
    });
    try {
      await learn(await reading.finish());
    } finally {
      await reading.close();
    }
  };

  /** Grows with each repeat; a server that asks for more gets it, within reason. */
  const pause = (repeat: number, error: unknown): Promise<void> => {
    const ownMs = options.random() * Math.min(MAX_PAUSE_MS, BASE_PAUSE_MS * 2 ** repeat);
    const asked = isOrbweaverError(error) ? error.fields['retryAfterMs'] : 0;
    const askedMs = typeof asked === 'number' ? Math.min(MAX_ASKED_PAUSE_MS, asked) : 0;
    return scope.sleep(Math.max(ownMs, askedMs));
  };

  const look = async (step: StepRef): Promise<Checked> => {
    if (target.check === undefined) return { made: 'no' };
    return target.check(plan as Plan, step, context);
  };

  /** Makes a step; looks first when nobody knows whether it was made before. */
  const make = async <T>(
    step: StepRef,
    options: { readonly maybeMade: boolean; readonly run: () => Promise<T> },
  ): Promise<T> => {
    const repeatable = target.repeatable[step.step];
    let unsure = options.maybeMade && repeatable !== 'yes';
    let lost: unknown = null;
    for (let repeat = 0; ; repeat++) {
      if (unsure) {
        const checked = await look(step);
        if (checked.made === 'yes') return checked.result as T;
        if (checked.made === 'gone') throw gone(lost);
        const again = repeatable === 'after-check' || (lost === null && repeatable === 'never');
        if (checked.made === 'unknown' || !again) throw unknown(step, lost);
      }
      try {
        return await options.run();
      } catch (error) {
        if (wantsNewPlan(error)) throw error;
        const failure = classOf(error);
        if (failure !== 'transient' && failure !== 'unknown-outcome') throw error;
        if (repeat >= MAX_REPEATS) throw repeatable === 'yes' ? error : unknown(step, error);
        lost = error;
        unsure = repeatable !== 'yes';
        await pause(repeat, error);
      }
    }
  };

  const gone = (cause: unknown): OrbweaverError =>
    targetError({
      kind,
      class: 'transient',
      message: 'the target has lost what was planned',
      ids: plan?.ids,
      planAgain: true,
      cause,
    });
  const unknown = (step: StepRef, cause: unknown): unknown => {
    // A target that says it itself knows the ids that are needed to look again.
    if (classOf(cause) === 'unknown-outcome') return cause;
    return targetError({
      kind,
      class: 'unknown-outcome',
      message:
        `nobody knows whether the ${step.step === 'commit' ? 'commit' : 'upload'} was made` +
        (cause instanceof Error ? `: ${cause.message}` : ''),
      ids: plan?.ids,
      cause,
    });
  };

  const sendAll = async (acks: Map<number, PartAck>, sent: ReadonlySet<number>): Promise<void> => {
    const { parts, presentBytes = 0 } = plan as Plan;
    checkParts(parts, sizeBytes);
    const missing = missingDigests(wanted, digests);
    const reading = createReading({
      source,
      sizeBytes,
      scope,
      digests: missing.length === 0 ? null : options.digests.create(missing, sizeBytes),
    });
    let acknowledgedBytes = presentBytes;
    inFlight.clear();
    report({ phase: 'send', acknowledgedBytes, inFlightBytes: 0 });
    try {
      await sendParts({
        parts,
        parallelParts: target.abilities.parallelParts,
        inMemory: target.abilities.unit === 'fixed-parts',
        reopenable: source.reopenable,
        reading,
        budget,
        scope,
        onSent: (part, bytes) => flying(part.index, bytes),
        send: async (part, body) => {
          if (target.repeatable.send !== 'yes') await log.send(part.index);
          const ack = await make(
            { step: 'send', part },
            {
              maybeMade: sent.has(part.index),
              run: () => target.send(plan as Plan, part, body, contextFor(part)),
            },
          );
          await log.ack(ack);
          acks.set(ack.index, ack);
          acknowledgedBytes += part.end - part.start;
          flying(part.index, 0);
          report({ acknowledgedBytes });
          return ack;
        },
      });
      if (missing.length > 0) await learn(await reading.finish());
    } finally {
      await reading.close();
    }
  };

  const commit = async (
    acks: ReadonlyMap<number, PartAck>,
    maybeMade: boolean,
  ): Promise<Pending | Done> => {
    report({ phase: 'commit' });
    const list = [...acks.values()].sort((a, b) => a.index - b.index);
    if (target.repeatable.commit !== 'yes' && !maybeMade) await log.commit();
    return make(
      { step: 'commit', acks: list },
      { maybeMade, run: () => target.commit(plan as Plan, list, context) },
    );
  };

  const once = async (): Promise<Pending | Done> => {
    const last = prior;
    prior = null;
    if (last?.pending != null) {
      plan = { ids: last.ids, state: last.state, parts: [] };
      return last.pending;
    }
    if (last?.commitStarted === true) {
      plan = { ids: last.ids, state: last.state, parts: [] };
      return commit(new Map(last.acks.map((ack) => [ack.index, ack])), true);
    }
    await digestFirst();
    report({ phase: 'plan' });
    plan = await target.plan(context, last ?? undefined);
    const kept = last !== null && sameIds(last.ids, plan.ids) ? last : null;
    if (kept === null) await log.plan(plan);
    if (plan.done !== undefined) return plan.done;
    if (plan.pending !== undefined) return plan.pending;
    const acks = new Map(kept?.acks.map((ack) => [ack.index, ack]));
    await sendAll(acks, kept?.sendStarted ?? new Set());
    return commit(acks, false);
  };

  return {
    context,
    scope,
    log,
    get plan() {
      return plan;
    },
    get digests() {
      return digests;
    },
    report,
    async submit() {
      for (let plans = 1; ; plans++) {
        try {
          return await once();
        } catch (error) {
          scope.check();
          if (!wantsNewPlan(error) || plans >= MAX_PLANS) throw error;
          const keeps = isOrbweaverError(error) && error.fields['keepsParts'] === true;
          if (keeps && plan !== null) {
            const { ids, state } = plan;
            const sent = { sendStarted: new Set<number>(), commitStarted: false, pending: null };
            prior = { ids, state, acks: [], ...sent };
          }
        }
      }
    },
  };
}

function sameIds(
  a: Readonly<Record<string, string>>,
  b: Readonly<Record<string, string>>,
): boolean {
  const names = Object.keys(a);
  return names.length === Object.keys(b).length && names.every((name) => a[name] === b[name]);
}

/** The last part of a path or label: what a target may call a file. */
function baseName(name: string): string {
  const last = name.split(/[/\\]/).findLast((part) => part !== '');
  return last ?? name;
}
