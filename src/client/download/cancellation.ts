import { OrbweaverError } from '../../errors.js';

/**
 * What stops a download: its first failure, or the caller's signal. Many waits of one download
 * depend on it at the same time, and an `AbortSignal` with more than ten listeners warns on
 * standard error; so there is one listener on the caller's signal, and a set behind it.
 */
export interface Cancellation {
  readonly cancelled: boolean;
  /** The first failure, or `ABORTED`. Meaningful once `cancelled`. */
  readonly reason: unknown;
  /** The first call counts. */
  readonly cancel: (reason: unknown) => void;
  throwIfCancelled(): void;
  /** Returns a function that removes the listener. */
  onCancel(listener: () => void): () => void;
  /** `promise`, or the reason as soon as there is one; the promise itself goes on. */
  race<T>(promise: Promise<T>): Promise<T>;
  /** Runs a call that takes a signal of its own, and does not wait for it once cancelled. */
  call<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T>;
  /** Lets go of the caller's signal. */
  dispose(): void;
}

export function createCancellation(callerSignal: AbortSignal | undefined): Cancellation {
  const listeners = new Set<() => void>();
  let failure: { readonly reason: unknown } | undefined;

  const cancel = (reason: unknown): void => {
    if (failure !== undefined) return;
    failure = { reason };
    for (const listener of [...listeners]) listener();
    listeners.clear();
  };
  const onAbort = (): void =>
    cancel(new OrbweaverError('ABORTED', 'download was cancelled', {}, callerSignal?.reason));
  if (callerSignal?.aborted) onAbort();
  else callerSignal?.addEventListener('abort', onAbort, { once: true });

  const cancellation: Cancellation = {
    get cancelled() {
      return failure !== undefined;
    },
    get reason() {
      return failure?.reason;
    },
    cancel,
    throwIfCancelled() {
      if (failure !== undefined) throw failure.reason;
    },
    onCancel(listener) {
      if (failure !== undefined) listener();
      else listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    race: (promise) =>
      new Promise((resolve, reject) => {
        const remove = cancellation.onCancel(() => reject(failure?.reason));
        promise.finally(remove).then(resolve, reject);
      }),
    async call(run) {
      cancellation.throwIfCancelled();
      const controller = new AbortController();
      const remove = cancellation.onCancel(() => controller.abort(failure?.reason));
      try {
        return await cancellation.race(run(controller.signal));
      } finally {
        remove();
      }
    },
    dispose() {
      callerSignal?.removeEventListener('abort', onAbort);
    },
  };
  return cancellation;
}
