import type { Clock } from '../../src/flow/index.js';

/**
 * A world in which time stands still until it is moved, and in which things that run at the same time
 * come to their end in an order that a seed decides:
 *
 *     const world = new Scheduler(seed);
 *     const read = () => world.op(() => bytes);        settles when its turn comes
 *     await world.run(copyEverything());               until that has settled
 *
 * `run` lets promises do all they can, then completes one pending operation, chosen by the seed; when
 * none is pending it moves the clock to the next timer. Nothing left while the work is not done: it
 * hangs, and `run` says so at once instead of waiting.
 */
export class Scheduler {
  readonly clock: Clock;
  readonly #random: () => number;
  readonly #operations: (() => void)[] = [];
  readonly #timers = new Set<{ readonly atMs: number; readonly callback: () => void }>();
  readonly #isHasty: boolean;
  #nowMs = 0;
  #unixOffsetMs = 1_700_000_000_000;
  #steps = 0;

  /**
   * @param options `isHasty`: the next operation is chosen as soon as there is one, without a turn of the
   * event loop for those who might start another; several times as fast, and as repeatable
   */
  constructor(seed: number, { isHasty = false }: { readonly isHasty?: boolean } = {}) {
    this.#random = randomOf(seed);
    this.#isHasty = isHasty;
    this.clock = {
      now: () => this.#nowMs,
      unixMs: () => this.#nowMs + this.#unixOffsetMs,
      setTimer: (delayMs, callback) => {
        const timer = { atMs: this.#nowMs + Math.max(0, delayMs), callback };
        this.#timers.add(timer);
        return () => this.#timers.delete(timer);
      },
    };
  }

  /** Operations completed and timers fired so far. */
  get steps(): number {
    return this.#steps;
  }

  get pendingCount(): number {
    return this.#operations.length;
  }

  /** A number in [0, 1) of this seed, for choices of the test itself. */
  random(): number {
    return this.#random();
  }

  /** An integer in [0, below). */
  int(below: number): number {
    return Math.floor(this.#random() * below);
  }

  /** Something that happens outside: `effect` is called when its turn comes, and settles the promise. */
  op<T>(effect: () => T | Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.#operations.push(() => {
        try {
          resolve(effect());
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  /** Somebody sets the date, as on a machine whose clock was wrong. */
  setDateBack(byMs: number): void {
    this.#unixOffsetMs -= byMs;
  }

  /** Moves the time, firing what is due on the way. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    for (
      let next = this.#nextTimer();
      next !== null && next.atMs <= untilMs;
      next = this.#nextTimer()
    ) {
      this.#fire(next);
      await settle();
    }
    this.#nowMs = untilMs;
    await settle();
  }

  /**
   * Completes operations in the order of the seed until `work` has settled.
   * @throws Error when nothing is left that could settle it, or after `maxSteps`
   */
  async run<T>(work: Promise<T>, maxSteps = 100_000): Promise<T> {
    let done = false;
    const end = (): void => {
      done = true;
    };
    work.then(end, end);
    for (let step = 0; ; step++) {
      if (this.#isHasty) await this.#settleHastily(() => done);
      else await settle();
      if (done) return work;
      if (step === maxSteps) throw new Error(`not done after ${maxSteps} steps`);
      if (!this.#step()) throw new Error('hangs: no operation and no timer is pending');
    }
  }

  async #settleHastily(isDone: () => boolean): Promise<void> {
    for (let turn = 0; turn <= HASTY_TURNS; turn++) {
      if (turn > 0) await nextTurn();
      for (let i = 0; i < SOON_CALLS; i++) await undefined;
      if (isDone() || this.#operations.length > 0) return;
    }
  }

  /** One more step; false when there is none. */
  #step(): boolean {
    this.#steps++;
    if (this.#operations.length > 0) {
      const [operation] = this.#operations.splice(this.int(this.#operations.length), 1);
      operation?.();
      return true;
    }
    const timer = this.#nextTimer();
    if (timer === null) return false;
    this.#fire(timer);
    return true;
  }

  #nextTimer(): { readonly atMs: number; readonly callback: () => void } | null {
    let next: { readonly atMs: number; readonly callback: () => void } | null = null;
    for (const timer of this.#timers) if (next === null || timer.atMs < next.atMs) next = timer;
    return next;
  }

  #fire(timer: { readonly atMs: number; readonly callback: () => void }): void {
    this.#timers.delete(timer);
    this.#nowMs = Math.max(this.#nowMs, timer.atMs);
    timer.callback();
  }
}

const SETTLE_TURNS = 3;
/** Most that are waited for when nothing else is to be done: work that pauses, and goes on. */
const HASTY_TURNS = 50;
/** How deep calls are whose promises are settled already. */
const SOON_CALLS = 48;

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Lets every promise do what it can, also across turns of the event loop. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < SETTLE_TURNS; turn++) await nextTurn();
}

/** mulberry32: small, seeded, good enough to permute. */
function randomOf(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}
