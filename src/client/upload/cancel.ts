import { isOrbweaverError, OrbweaverError } from '../../errors.js';

/** What a call to the outside gets: a signal of its own, and a way to say that it has ended. */
export interface CancelChild {
  readonly signal: AbortSignal;
  end(): void;
}

/**
 * Ends everything that a session does. Hundreds of waits may hang on it at once, which an
 * `AbortSignal` takes for a leak and warns about; so waits inside register here, and each call to
 * the outside gets a signal of its own.
 */
export class CancelScope {
  readonly #listeners = new Set<() => void>();
  #error: OrbweaverError | null = null;

  get aborted(): boolean {
    return this.#error !== null;
  }

  /** Why it ended. @throws TypeError before that */
  get error(): OrbweaverError {
    if (this.#error === null) throw new TypeError('"scope" expected an ended one');
    return this.#error;
  }

  /** The first reason stays; one of our errors is kept, anything else becomes `ABORTED`. */
  abort(reason: unknown): void {
    if (this.#error !== null) return;
    this.#error = isOrbweaverError(reason)
      ? reason
      : new OrbweaverError('ABORTED', 'the upload was cancelled', {}, reason);
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener();
  }

  /** @throws the error it ended with, if it has */
  check(): void {
    if (this.#error !== null) throw this.#error;
  }

  /** Calls back once; at once when it has ended. The returned function takes it back. */
  onAbort(listener: () => void): () => void {
    if (this.#error !== null) {
      listener();
      return () => {};
    }
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * `promise`, or a rejection as soon as the scope ends. The promise itself goes on; what it uses
   * must stay until it has settled.
   */
  abortable<T>(promise: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const forget = this.onAbort(() => reject(this.error));
      promise.then(
        (value) => {
          forget();
          resolve(value);
        },
        (error: unknown) => {
          forget();
          reject(error);
        },
      );
    });
  }

  child(): CancelChild {
    const controller = new AbortController();
    const end = this.onAbort(() => controller.abort(this.error));
    return { signal: controller.signal, end };
  }
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

  async enter(scope: CancelScope): Promise<void> {
    scope.check();
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    const turn = new Promise<void>((resolve) => this.#queue.push(resolve));
    try {
      await scope.abortable(turn);
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
