import type { Clock } from './clock.js';

/** How {@link Goodput} begins and how far it goes. */
export interface GoodputOptions {
  readonly clock: Pick<Clock, 'now'>;
  /** Requests at a time in the beginning. */
  readonly start: number;
  /** Most requests at a time. */
  readonly most: number;
}

/**
 * How many requests at a time move the most bytes: it tries more, then fewer, and stays where more bring
 * nothing and fewer cost something. It looks at bytes that arrived, not at what servers say, so a server
 * that slows down, refuses or queues what is too much for it is found out in the same way. Of two numbers
 * that are as good it takes the smaller one.
 *
 *     more      is kept for 5 % more bytes
 *     fewer     is kept as long as it brings 97 % of the best
 *     neither   nothing is tried for a while, each time for longer
 *
 * No timers: it looks when it is told something.
 */
export class Goodput {
  readonly #clock: Pick<Clock, 'now'>;
  readonly #most: number;
  #limit: number;
  #before: number;
  #inFlight = 0;
  #bytes = 0;
  /** Bytes per millisecond to compare with; null: nothing is measured yet. */
  #base: number | null = null;
  #trial: 'none' | 'more' | 'fewer' = 'none';
  /** Since the last trial a request had to be sent again. */
  #wasRepeated = false;
  #factor = 2;
  /** Since when bytes count; null: requests of the former number are still under way. */
  #since: number | null = null;
  #changedAt: number;
  /** Since when nothing is under way. */
  #idleSince: number;
  #restUntil = Number.NEGATIVE_INFINITY;
  #restMs = FIRST_REST_MS;
  #onMore: (() => void)[] = [];

  /** @throws RangeError */
  constructor({ clock, start, most }: GoodputOptions) {
    if (!(Number.isInteger(start) && start >= 1 && start <= most)) {
      throw new RangeError(`"start" expected 1 to ${most}, got ${start}`);
    }
    this.#clock = clock;
    this.#most = most;
    this.#limit = start;
    this.#before = start;
    this.#changedAt = clock.now();
    this.#idleSince = this.#changedAt;
  }

  /** Requests at a time, from now on. */
  get limit(): number {
    return this.#limit;
  }

  /** Calls `listener` whenever there may be more; the returned function ends that. */
  onMore(listener: () => void): () => void {
    this.#onMore.push(listener);
    return () => {
      this.#onMore = this.#onMore.filter((other) => other !== listener);
    };
  }

  /** A request begins. */
  begun(): void {
    // After a pause of the caller nothing that was measured is worth anything.
    if (this.#inFlight === 0 && this.#clock.now() - this.#idleSince > SETTLE_MS) {
      this.#since = null;
      this.#changedAt = this.#clock.now();
    }
    this.#inFlight++;
  }

  /** It has ended, well or not. */
  ended(): void {
    this.#inFlight--;
    if (this.#inFlight === 0) this.#idleSince = this.#clock.now();
  }

  /** A request had to be sent again: there may be too many. Fewer are tried next, and not more. */
  repeated(): void {
    this.#wasRepeated = true;
    this.#restUntil = Number.NEGATIVE_INFINITY;
    if (this.#trial === 'more') {
      this.#trial = 'none';
      this.#set(this.#before);
    }
  }

  /** Bytes have arrived, or were taken by the network. */
  moved(bytes: number): void {
    const now = this.#clock.now();
    if (this.#since === null) {
      if (this.#inFlight > this.#limit || now - this.#changedAt < SETTLE_MS) return;
      this.#since = now;
      this.#bytes = 0;
      return;
    }
    this.#bytes += bytes;
    const passedMs = now - this.#since;
    if (passedMs < EPOCH_MS) return;
    if (now < this.#restUntil) {
      // What is compared with should be of late.
      this.#since = now;
      this.#bytes = 0;
      return;
    }
    this.#decide(this.#bytes / passedMs);
  }

  #decide(rate: number): void {
    const base = this.#base ?? rate;
    if (this.#trial === 'more' && rate < base * MORE_IS_BETTER) {
      this.#set(this.#before);
      this.#tryFewer(base);
      return;
    }
    if (this.#trial === 'fewer') {
      if (rate >= base * FEWER_IS_AS_GOOD) {
        this.#restMs = FIRST_REST_MS;
        this.#tryFewer(Math.max(base, rate));
      } else {
        this.#set(this.#before);
        this.#rest();
      }
      return;
    }
    if (this.#trial === 'more') {
      this.#factor = rate >= base * MUCH_BETTER ? 2 : 1.5;
      this.#restMs = FIRST_REST_MS;
    }
    if (this.#limit < this.#most && !this.#wasRepeated) this.#tryMore(rate);
    else this.#tryFewer(rate);
  }

  #tryMore(base: number): void {
    this.#base = base;
    this.#trial = 'more';
    this.#before = this.#limit;
    this.#set(Math.min(this.#most, Math.ceil(this.#limit * this.#factor)));
  }

  #tryFewer(base: number): void {
    if (this.#limit === 1) {
      this.#rest();
      return;
    }
    this.#base = base;
    this.#wasRepeated = false;
    this.#trial = 'fewer';
    this.#before = this.#limit;
    this.#set(Math.max(1, Math.floor(this.#limit * FEWER)));
  }

  #rest(): void {
    this.#trial = 'none';
    this.#wasRepeated = false;
    this.#base = null;
    this.#factor = 1.5;
    this.#restUntil = this.#clock.now() + this.#restMs;
    this.#restMs = Math.min(2 * this.#restMs, LONGEST_REST_MS);
  }

  #set(limit: number): void {
    const isMore = limit > this.#limit;
    this.#limit = limit;
    this.#changedAt = this.#clock.now();
    this.#since = null;
    if (isMore) for (const listener of this.#onMore) listener();
  }
}

/** Connections that are new need some round trips for their full rate. */
const SETTLE_MS = 1_000;
/** Bytes are counted so long. */
const EPOCH_MS = 2_000;
const MORE_IS_BETTER = 1.05;
const MUCH_BETTER = 1.3;
const FEWER_IS_AS_GOOD = 0.97;
const FEWER = 0.75;
const FIRST_REST_MS = 10_000;
const LONGEST_REST_MS = 80_000;
