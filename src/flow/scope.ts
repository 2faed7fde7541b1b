import { isOrbweaverError, OrbweaverError } from '../errors.js';
import type { Clock } from './clock.js';

/** What a {@link Scope} is made with. */
export interface ScopeOptions {
  /** For {@link Scope.sleep} and {@link Scope.after}; a child has its parent's. */
  readonly clock?: Clock | undefined;
  /** Ends the scope with `ABORTED` when it fires. */
  readonly signal?: AbortSignal | undefined;
  /** What is being done, for the message of `ABORTED`: "the upload". @default "the operation" */
  readonly what?: string | undefined;
}

/**
 * The one way to cancel. A scope ends once, with the first reason; then every wait inside of it
 * rejects with that reason, its timers are gone, its children end with it, and every call that it
 * gave a signal to is told.
 *
 * It has one listener on the caller's signal however many waits there are: an `AbortSignal` with
 * more than ten listeners warns of a leak on standard error.
 *
 * @example
 * const scope = new Scope({ signal, clock, what: 'the upload' });
 * try {
 *   await scope.call((callSignal) => fetchIt(callSignal));
 * } finally {
 *   scope.close();
 * }
 */
export class Scope {
  readonly #clock: Clock | undefined;
  readonly #what: string;
  readonly #listeners = new Set<() => void>();
  readonly #tracked = new Set<Promise<unknown>>();
  #ended = false;
  /** Made when somebody asks: most scopes close without anybody waiting, and an error costs its stack. */
  #error: OrbweaverError | null = null;
  #detach: () => void = () => {};

  constructor({ clock, signal, what = 'the operation' }: ScopeOptions = {}) {
    this.#clock = clock;
    this.#what = what;
    if (signal === undefined) return;
    const onAbort = (): void => this.end(signal.reason);
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    this.#detach = () => signal.removeEventListener('abort', onAbort);
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Why it ended. @throws TypeError before that */
  get reason(): OrbweaverError {
    if (!this.#ended) throw new TypeError('"scope" expected an ended one');
    this.#error ??= new OrbweaverError('CLOSED', `${this.#what} is over`);
    return this.#error;
  }

  /** The first reason stays. An OrbweaverError is kept, anything else becomes `ABORTED`. */
  end(reason: unknown): void {
    if (this.#ended) return;
    this.#error = isOrbweaverError(reason)
      ? reason
      : new OrbweaverError('ABORTED', `${this.#what} was cancelled`, {}, reason);
    this.#finish();
  }

  /** All went well: lets go of the caller's signal, and ends what may still run with `CLOSED`. */
  close(): void {
    if (!this.#ended) this.#finish();
  }

  #finish(): void {
    this.#ended = true;
    this.#detach();
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    for (const listener of listeners) listener();
  }

  /** @throws OrbweaverError the reason, once it has ended */
  check(): void {
    if (this.#ended) throw this.reason;
  }

  /** Calls back once when it ends, at once when it has. The returned function takes that back. */
  onEnd(listener: () => void): () => void {
    if (this.#ended) {
      listener();
      return () => {};
    }
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * `promise`, or a rejection as soon as the scope ends. The promise itself goes on: what it uses has
   * to stay until it has settled (that is what `Owned.borrow` is for).
   */
  race<T>(promise: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const forget = this.onEnd(() => reject(this.reason));
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

  /** Runs a call that takes a signal, its own, and does not wait for it once the scope has ended. */
  async call<T>(run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    this.check();
    const controller = new AbortController();
    const forget = this.onEnd(() => controller.abort(this.reason));
    try {
      return await this.race(run(controller.signal));
    } finally {
      forget();
    }
  }

  /**
   * The same for a thing that has to be given back (memory, an open file): what comes when the scope
   * has ended goes to `giveBack`, so that it is never lost between the two.
   */
  async obtain<T>(
    run: (signal: AbortSignal) => Promise<T>,
    giveBack: (late: T) => void,
  ): Promise<T> {
    this.check();
    const controller = new AbortController();
    return new Promise<T>((resolve, reject) => {
      let over = false;
      const forget = this.onEnd(() => {
        over = true;
        controller.abort(this.reason);
        reject(this.reason);
      });
      run(controller.signal).then(
        (value) => {
          forget();
          if (over) giveBack(value);
          else resolve(value);
        },
        (error: unknown) => {
          forget();
          reject(error);
        },
      );
    });
  }

  /** Ends with this one, or before it on its own; ending it leaves this one alone. */
  child(options: Pick<ScopeOptions, 'signal' | 'what'> = {}): Scope {
    const child = new Scope({ clock: this.#clock, what: this.#what, ...options });
    const forget = this.onEnd(() => child.end(this.reason));
    child.onEnd(forget);
    return child;
  }

  /** Calls back after `delayMs` unless the scope ends before. The returned function cancels it. */
  after(delayMs: number, callback: () => void): () => void {
    if (this.#clock === undefined) throw new TypeError('"scope" expected one with a clock');
    if (this.#ended) return () => {};
    let forget = (): void => {};
    const stop = this.#clock.setTimer(delayMs, () => {
      forget();
      callback();
    });
    forget = this.onEnd(stop);
    return () => {
      forget();
      stop();
    };
  }

  /** @throws OrbweaverError the reason when the scope ends meanwhile */
  async sleep(delayMs: number): Promise<void> {
    this.check();
    let stop = (): void => {};
    const slept = new Promise<void>((resolve) => {
      stop = this.after(delayMs, resolve);
    });
    try {
      await this.race(slept);
    } finally {
      stop();
    }
  }

  /**
   * Work that goes on beside the caller: its failure ends the scope, and {@link settled} waits for it.
   * The promise that comes back never rejects.
   */
  spawn(work: Promise<unknown>): Promise<void> {
    const tracked: Promise<void> = work.then(
      () => {
        this.#tracked.delete(tracked);
      },
      (error: unknown) => {
        this.#tracked.delete(tracked);
        this.end(error);
      },
    );
    this.#tracked.add(tracked);
    return tracked;
  }

  /**
   * Work to its end, and with it the scope, which is closed. @throws OrbweaverError the reason of the scope, when
   * the work or anything that was spawned has failed and nothing of it runs any more
   */
  async run<T>(work: () => Promise<T>): Promise<T> {
    try {
      const value = await work();
      this.close();
      return value;
    } catch (error) {
      this.end(error);
      await this.settled();
      throw this.reason;
    }
  }

  /** Resolves when nothing that was spawned runs any more, however it ended. Never rejects. */
  async settled(): Promise<void> {
    while (this.#tracked.size > 0) await Promise.all(this.#tracked);
  }
}
