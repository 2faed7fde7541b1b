import { isOrbweaverError } from '../errors.js';

/** Runs some at a time, in their order, until the signal ends or one of them throws. */
export async function inLanes<T>(
  items: readonly T[],
  { lanes, signal }: { readonly lanes: number; readonly signal: AbortSignal },
  run: (item: T) => Promise<void>,
): Promise<void> {
  const left = items.values();
  let failed = false;
  const lane = async (): Promise<void> => {
    for (const item of left) {
      if (signal.aborted || failed) return;
      try {
        await run(item);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  await allEnded(Array.from({ length: Math.min(lanes, items.length) }, lane));
}

/**
 * Waits until all have ended, so that each has put away what it keeps. Of several failures the one that says by which
 * name a transfer can be gone on with is thrown, else the first.
 */
export async function allEnded(running: readonly Promise<void>[]): Promise<void> {
  const ended = await Promise.allSettled(running);
  const reasons = ended.flatMap((each) => (each.status === 'rejected' ? [each.reason] : []));
  if (reasons.length > 0) throw reasons.find(isKept) ?? reasons[0];
}

function isKept(error: unknown): boolean {
  return isOrbweaverError(error) && typeof error.fields['transferId'] === 'string';
}
