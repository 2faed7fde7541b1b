import type { Clock } from './clock.js';
import type { Scope } from './scope.js';

/**
 * A token bucket for bytes: all that move take their bytes from it before they do, so together they keep
 * to its rate, however many they are. Bytes are granted in small grains and in the order of asking, so
 * that nobody waits long while others go on.
 *
 *     balance   grows by `bytesPerSecond`, up to a tenth of a second of it; a grain is taken when it
 *               is above zero, and may go below, so that the rate is kept to over any longer time
 *
 * The rate may change at any time, also for those that wait.
 */
export class RateLimit {
  readonly #clock: Clock;
  #bytesPerSecond: number;
  #balance = 0;
  #atMs: number;
  #waiting: { readonly grant: () => void }[] = [];
  #stopTimer: (() => void) | null = null;

  /**
   * @param bytesPerSecond above zero; Infinity: no limit
   * @throws RangeError
   */
  constructor(clock: Clock, bytesPerSecond: number = Number.POSITIVE_INFINITY) {
    this.#clock = clock;
    this.#bytesPerSecond = checked(bytesPerSecond);
    this.#atMs = clock.now();
  }

  get bytesPerSecond(): number {
    return this.#bytesPerSecond;
  }

  /** @throws RangeError */
  set bytesPerSecond(rate: number) {
    this.#refill();
    this.#bytesPerSecond = checked(rate);
    this.#balance = Math.min(this.#balance, this.#mostBalance());
    this.#serve();
  }

  /** False: nothing is to be taken. */
  get isLimited(): boolean {
    return this.#bytesPerSecond !== Number.POSITIVE_INFINITY;
  }

  /**
   * Resolves with how many bytes may move now: 1 to `wantedBytes`.
   * @throws OrbweaverError the reason of the scope
   */
  async take(wantedBytes: number, scope: Scope): Promise<number> {
    this.#refill();
    if (this.#balance <= 0 || this.#waiting.length > 0) {
      let waiter: { readonly grant: () => void } | null = null;
      const turn = new Promise<void>((grant) => {
        waiter = { grant };
        this.#waiting.push(waiter);
      });
      this.#serve();
      try {
        await scope.race(turn);
      } catch (error) {
        this.#waiting = this.#waiting.filter((other) => other !== waiter);
        this.#serve();
        throw error;
      }
    }
    const granted = Math.min(wantedBytes, this.#grainBytes());
    this.#balance -= granted;
    this.#serve();
    return granted;
  }

  /** Bytes that were granted and did not move. */
  giveBack(bytes: number): void {
    this.#balance += bytes;
    this.#serve();
  }

  /** A twentieth of a second, but no less than a packet and no more than one large write. */
  #grainBytes(): number {
    const share = Math.ceil(this.#bytesPerSecond / GRAINS_PER_SECOND);
    return Math.min(Math.max(share, LEAST_GRAIN_BYTES), MOST_GRAIN_BYTES);
  }

  #mostBalance(): number {
    return this.isLimited ? this.#bytesPerSecond / BURSTS_PER_SECOND : 0;
  }

  #refill(): void {
    const nowMs = this.#clock.now();
    const passedMs = nowMs - this.#atMs;
    this.#atMs = nowMs;
    if (!this.isLimited) this.#balance = 0;
    else if (this.#balance < this.#mostBalance()) {
      const grown = this.#balance + (this.#bytesPerSecond * passedMs) / 1000;
      this.#balance = Math.min(grown, this.#mostBalance());
    }
  }

  /** Lets the first one go when there is something; it takes its grain and lets the next one look. */
  #serve(): void {
    this.#stopTimer?.();
    this.#stopTimer = null;
    if (this.#waiting.length === 0) return;
    this.#refill();
    if (!this.isLimited) {
      for (const { grant } of this.#waiting.splice(0)) grant();
    } else if (this.#balance > 0) {
      this.#waiting.shift()?.grant();
    } else {
      const missingMs = ((1 - this.#balance) * 1000) / this.#bytesPerSecond;
      this.#stopTimer = this.#clock.setTimer(Math.ceil(missingMs), () => this.#serve());
    }
  }
}

const GRAINS_PER_SECOND = 20;
const BURSTS_PER_SECOND = 10;
const LEAST_GRAIN_BYTES = 512;
const MOST_GRAIN_BYTES = 4 * 1024 * 1024;

function checked(bytesPerSecond: number): number {
  if (typeof bytesPerSecond === 'number' && bytesPerSecond > 0) return bytesPerSecond;
  throw new RangeError(`"bytesPerSecond" expected a number above 0, got ${bytesPerSecond}`);
}
