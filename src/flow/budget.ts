import { OrbweaverError } from '../errors.js';
import { Deferred } from './deferred.js';
import type { Scope } from './scope.js';

/** Bytes that somebody holds of a {@link Budget}. */
export interface Reservation {
  readonly bytes: number;
  /** Holds `bytes` from now on; more only if they are free. False: nothing changed. */
  resize(bytes: number): boolean;
  /** Safe to call twice. */
  release(): void;
}

/** What a {@link Budget} is made with. */
export interface BudgetOptions {
  readonly capacityBytes: number;
  /** Requests that may wait; the next one is refused. @default no limit */
  readonly maxWaiting?: number | undefined;
  /** Bytes of a part are bytes of the whole as well. */
  readonly parent?: Budget | undefined;
}

interface Waiter {
  readonly bytes: number;
  readonly turn: Deferred<Reservation>;
}

/**
 * Bytes that may be held together by everything that grows: request bodies, dedup responses,
 * reconstructions, lists of chunks, caches. First come, first served, so that a large request is not
 * overtaken for ever by small ones. A request for more than all of it counts as all of it, so that
 * one always fits.
 */
export class Budget {
  readonly capacityBytes: number;
  readonly #maxWaiting: number;
  readonly #parent: Budget | undefined;
  readonly #queue = new Set<Waiter>();
  readonly #parts = new Set<Budget>();
  #usedBytes = 0;
  #peakBytes = 0;

  /** @throws RangeError for a capacity below 1 */
  constructor({ capacityBytes, maxWaiting, parent }: BudgetOptions) {
    if (!(capacityBytes >= 1)) {
      throw new RangeError(`"capacityBytes" expected at least 1, got ${capacityBytes}`);
    }
    this.capacityBytes = capacityBytes;
    this.#maxWaiting = maxWaiting ?? Number.POSITIVE_INFINITY;
    this.#parent = parent;
    if (parent !== undefined) parent.#parts.add(this);
  }

  get usedBytes(): number {
    return this.#usedBytes;
  }

  /** The most that was ever used at once. */
  get peakBytes(): number {
    return this.#peakBytes;
  }

  get waitingCount(): number {
    return this.#queue.size;
  }

  /** A part of this budget: what it holds counts here as well. */
  part(capacityBytes: number, maxWaiting?: number): Budget {
    return new Budget({ capacityBytes, maxWaiting, parent: this });
  }

  /** The bytes, or null when they are not free now. */
  tryAcquire(bytes: number): Reservation | null {
    const wanted = Math.min(bytes, this.capacityBytes);
    if (this.#queue.size > 0 || !this.#take(wanted)) return null;
    return this.#reservation(wanted);
  }

  /**
   * Waits for the bytes.
   * @throws OrbweaverError `RATE_LIMITED` when too many wait already; the reason of `scope`
   */
  async acquire(bytes: number, scope: Scope): Promise<Reservation> {
    scope.check();
    const now = this.tryAcquire(bytes);
    if (now !== null) return now;
    if (this.#queue.size >= this.#maxWaiting) {
      throw new OrbweaverError('RATE_LIMITED', 'too many requests wait for memory');
    }
    const waiter: Waiter = {
      bytes: Math.min(bytes, this.capacityBytes),
      turn: new Deferred<Reservation>(),
    };
    this.#queue.add(waiter);
    try {
      return await scope.race(waiter.turn.promise);
    } catch (error) {
      // The turn may have come in the meantime, and nobody is there to take it.
      if (!this.#queue.delete(waiter)) void waiter.turn.promise.then((late) => late.release());
      this.#serve();
      throw error;
    }
  }

  #fits(bytes: number): boolean {
    if (this.#usedBytes + bytes > this.capacityBytes) return false;
    return (
      this.#parent === undefined || this.#parent.#fits(Math.min(bytes, this.#parent.capacityBytes))
    );
  }

  #take(bytes: number): boolean {
    if (!this.#fits(bytes)) return false;
    this.#add(bytes);
    return true;
  }

  #add(bytes: number): void {
    this.#usedBytes += bytes;
    this.#peakBytes = Math.max(this.#peakBytes, this.#usedBytes);
    if (this.#parent !== undefined) this.#parent.#add(bytes);
  }

  #drop(bytes: number): void {
    this.#usedBytes -= bytes;
    if (this.#parent === undefined) this.#serve();
    else this.#parent.#drop(bytes);
  }

  /** Those who waited for longest first, here and then in the parts. */
  #serve(): void {
    for (const waiter of this.#queue) {
      if (!this.#take(waiter.bytes)) break;
      this.#queue.delete(waiter);
      waiter.turn.resolve(this.#reservation(waiter.bytes));
    }
    for (const part of this.#parts) part.#serve();
  }

  #reservation(taken: number): Reservation {
    let held = taken;
    let over = false;
    return {
      get bytes() {
        return held;
      },
      resize: (bytes) => {
        if (over) return false;
        if (bytes > held && !this.#take(bytes - held)) return false;
        if (bytes < held) this.#drop(held - bytes);
        held = bytes;
        return true;
      },
      release: () => {
        if (over) return;
        over = true;
        this.#drop(held);
        held = 0;
      },
    };
  }
}
