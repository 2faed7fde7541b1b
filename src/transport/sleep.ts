import { isOrbweaverError, OrbweaverError } from '../errors.js';
import type { TransportClock } from './ports.js';

/** The error of a call whose signal was aborted: `ABORTED`, or `CLOSED` if closing aborted it. */
export function abortedError(signal: AbortSignal | undefined): OrbweaverError {
  const reason: unknown = signal?.reason;
  if (isOrbweaverError(reason) && reason.code === 'CLOSED') return reason;
  return new OrbweaverError('ABORTED', 'the transfer was cancelled', {}, reason);
}

/** @throws OrbweaverError `ABORTED` when the signal is aborted */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted === true) throw abortedError(signal);
}

/** Waits `delayMs` of the port's time. @throws OrbweaverError `ABORTED` as soon as it is aborted */
export function sleep(
  clock: TransportClock,
  delayMs: number,
  signal: AbortSignal | undefined,
): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) {
      reject(abortedError(signal));
      return;
    }
    const onAbort = (): void => {
      cancel();
      reject(abortedError(signal));
    };
    const cancel = clock.setTimer(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
