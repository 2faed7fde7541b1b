import { OrbweaverError } from '../errors.js';

/** The error of a cancelled read or write; the caller's reason is its cause. */
export function abortedError(signal: AbortSignal, what = 'transfer'): OrbweaverError {
  return new OrbweaverError('ABORTED', `${what} was cancelled`, {}, signal.reason);
}

/** @throws OrbweaverError `ABORTED` */
export function throwIfAborted(signal: AbortSignal | undefined, what?: string): void {
  if (signal?.aborted) throw abortedError(signal, what);
}

/**
 * `promise`, or `ABORTED` as soon as the signal fires. The promise itself goes on; use it only
 * where a late result does no harm.
 */
export function raceAbort<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(abortedError(signal));
    if (signal.aborted) {
      promise.catch(() => {});
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    promise.then(
      (value) => {
        signal.removeEventListener('abort', onAbort);
        resolve(value);
      },
      (error: unknown) => {
        signal.removeEventListener('abort', onAbort);
        reject(error);
      },
    );
  });
}
