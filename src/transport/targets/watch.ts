import { classOf, targetError } from './errors.js';
import type { Done, Failed, Pending, UploadTarget } from './ports.js';
import type { Transfer } from './transfer.js';

/** Times between two looks when the target says nothing of its own. */
const DEFAULT_POLL_MS = { first: 1000, most: 60_000 } as const;
/** Each look waits longer than the one before. */
const POLL_GROWTH = 1.5;
/** Looks that may fail one after another before a transfer counts as lost from sight. */
const MAX_FAILED_LOOKS = 10;

/** A transfer that is watched: what it is, and what it has come to. */
interface Watched {
  readonly transfer: Transfer;
  pending: Pending;
  delayMs: number;
  dueMs: number;
  /** When the target last said something new. */
  changedMs: number;
  failedLooks: number;
  outcome: Done | Failed | Error | null;
}

/** A transfer and where it stands. */
export interface WatchItem {
  readonly transfer: Transfer;
  readonly pending: Pending;
}

/**
 * Asks the target until nothing is pending any more, all that are due in one call where the target can
 * do that, at growing intervals. Never rejects for one of them: a failure is its result.
 */
export async function watch(
  target: UploadTarget,
  items: readonly WatchItem[],
  nowMs: () => number,
): Promise<readonly (Done | Failed | Error)[]> {
  const all: Watched[] = [];
  for (const { transfer, pending } of items) {
    await transfer.log.pending(pending);
    transfer.report({ phase: 'status', target: pending.progress });
    const delayMs = pending.pollMs?.first ?? DEFAULT_POLL_MS.first;
    const now = nowMs();
    all.push({
      transfer,
      pending,
      delayMs,
      dueMs: now + delayMs,
      changedMs: now,
      failedLooks: 0,
      outcome: null,
    });
  }
  for (;;) {
    const open = all.filter(({ outcome }) => outcome === null);
    if (open.length === 0) break;
    const next = Math.min(...open.map(({ dueMs }) => dueMs));
    await sleepAny(open, Math.max(0, next - nowMs()));
    const due = open.filter((each) => each.outcome === null && each.dueMs <= nowMs());
    if (due.length > 0) await lookAt(target, due, nowMs);
  }
  return all.map(({ outcome }) => outcome as Done | Failed | Error);
}

/** Waits; transfers that are cancelled meanwhile have their outcome. */
async function sleepAny(open: readonly Watched[], delayMs: number): Promise<void> {
  const [first] = open;
  try {
    await first?.transfer.scope.sleep(delayMs);
  } catch {
    // Cancelled: seen below.
  }
  for (const each of open) if (each.transfer.scope.ended) each.outcome = each.transfer.scope.reason;
}

async function lookAt(
  target: UploadTarget,
  due: readonly Watched[],
  nowMs: () => number,
): Promise<void> {
  const asked = due.flatMap((each) => {
    const { plan, context } = each.transfer;
    return plan === null ? [] : [{ each, call: { plan, pending: each.pending, context } }];
  });
  const results =
    target.statusAll === undefined
      ? await Promise.all(
          asked.map(({ call }) => caught(target.status(call.plan, call.pending, call.context))),
        )
      : await allOrError(target.statusAll(asked.map(({ call }) => call)), asked.length);
  for (const [i, { each }] of asked.entries()) await take(target, each, results[i], nowMs());
}

async function take(
  target: UploadTarget,
  each: Watched,
  result: Pending | Done | Failed | Error | undefined,
  now: number,
): Promise<void> {
  const { transfer } = each;
  if (transfer.scope.ended) {
    each.outcome = transfer.scope.reason;
    return;
  }
  if (result === undefined || result instanceof Error) {
    const error = result ?? new TypeError('"statusAll" expected a result for each transfer');
    const mayPass = classOf(error) === 'transient' && ++each.failedLooks < MAX_FAILED_LOOKS;
    if (!mayPass) each.outcome = lostFromSight(target, each, error);
  } else if (result.state !== 'pending') each.outcome = result;
  else {
    each.failedLooks = 0;
    if (!sameState(result, each.pending)) {
      each.changedMs = now;
      each.pending = result;
      await transfer.log.pending(result);
    }
    transfer.report({ phase: 'status', target: result.progress });
    const { patienceMs } = result;
    if (patienceMs !== undefined && now - each.changedMs >= patienceMs) {
      each.outcome = targetError({
        kind: target.kind,
        class: 'unknown-outcome',
        message: `nothing has changed for ${Math.round(patienceMs / 1000)} s at "${result.progress.stage}"`,
        ids: result.ids,
      });
    }
  }
  each.delayMs = Math.min(
    each.delayMs * POLL_GROWTH,
    each.pending.pollMs?.most ?? DEFAULT_POLL_MS.most,
  );
  each.dueMs = now + each.delayMs;
}

/** What goes wrong while looking says nothing about the transfer, unless it has a class that does. */
function lostFromSight(target: UploadTarget, each: Watched, cause: Error): Error {
  if (classOf(cause) !== 'transient') return cause;
  return targetError({
    kind: target.kind,
    class: 'unknown-outcome',
    message: `the target does not say any more where the upload stands: ${cause.message}`,
    ids: each.pending.ids,
    cause,
  });
}

function sameState(a: Pending, b: Pending): boolean {
  return (
    JSON.stringify([a.ids, a.progress, a.data]) === JSON.stringify([b.ids, b.progress, b.data])
  );
}

function caught<T>(promise: Promise<T>): Promise<T | Error> {
  return promise.catch((error: unknown) =>
    error instanceof Error ? error : new Error(String(error)),
  );
}

async function allOrError<T>(
  promise: Promise<readonly T[]>,
  count: number,
): Promise<readonly (T | Error)[]> {
  const results = await caught(promise);
  return results instanceof Error ? Array.from({ length: count }, () => results) : results;
}
