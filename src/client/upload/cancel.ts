import { isOrbweaverError, OrbweaverError } from '../../errors.js';

/** The error of a cancelled transfer; an abort whose reason is one of ours keeps it. */
export function abortedError(signal: AbortSignal): OrbweaverError {
  const reason: unknown = signal.reason;
  if (isOrbweaverError(reason)) return reason;
  return new OrbweaverError('ABORTED', 'the upload was cancelled', {}, reason);
}

/**
 * `promise`, or a rejection as soon as `signal` fires. The promise itself goes on; what it uses
 * must stay until it has settled.
 */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(abortedError(signal));
    if (signal.aborted) onAbort();
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

/** A promise with its handles. Its rejection is never "unhandled": who needs it awaits it. */
export class Deferred<T> {
  readonly promise: Promise<T>;
  resolve: (value: T) => void = () => {};
  reject: (error: unknown) => void = () => {};

  constructor() {
    this.promise = new Promise<T>((resolve, reject) => {
      this.resolve = resolve;
      this.reject = reject;
    });
    this.promise.catch(() => undefined);
  }
}

/** At most `limit` holders at once, first come first served. */
export class Semaphore {
  #free: number;
  readonly #queue: (() => void)[] = [];

  constructor(limit: number) {
    this.#free = limit;
  }

  async enter(signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw abortedError(signal);
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    const turn = new Promise<void>((resolve) => this.#queue.push(resolve));
    try {
      await abortable(turn, signal);
    } catch (error) {
      // The turn still comes; hand it on.
      void turn.then(() => this.leave());
      throw error;
    }
  }

  leave(): void {
    const next = this.#queue.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}
