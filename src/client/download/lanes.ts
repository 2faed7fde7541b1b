import type { Goodput, Scope } from '../../flow/index.js';
import type { Demand } from './demand.js';

/** How many jobs run at a time, and who says so. */
export interface LanesOptions {
  readonly scope: Scope;
  /** Most lanes at a time. */
  readonly most: number;
  /** Finds out how many bring the most; null: `most` of them. */
  readonly goodput: Goodput | null;
  /** They are opened one after another, as long as there is use for more; null: at once. */
  readonly demand: Demand | null;
}

/** Runs jobs side by side, as work of the scope. The first that fails ends the scope, and no more are begun. */
export class Lanes<T> {
  readonly #options: LanesOptions;
  readonly #jobs: readonly T[];
  readonly #run: (job: T) => Promise<unknown>;
  readonly #forget: () => void;
  #next = 0;
  #laneCount = 0;

  constructor(options: LanesOptions, jobs: readonly T[], run: (job: T) => Promise<unknown>) {
    const { demand, goodput, most } = options;
    this.#options = options;
    this.#jobs = jobs;
    this.#run = run;
    this.#forget =
      demand === null
        ? (goodput?.onMore(() => this.#open(most)) ?? (() => {}))
        : demand.onMore((count) => this.#open(count));
    this.#open(demand === null ? most : 1);
  }

  /** Nothing more is listened to. */
  stop(): void {
    this.#forget();
  }

  /** @returns how many were opened */
  #open(count: number): number {
    const { scope } = this.#options;
    const room = Math.min(this.#jobs.length - this.#next, this.#limit() - this.#laneCount);
    const opened = scope.ended ? 0 : Math.max(0, Math.min(count, room));
    for (let i = 0; i < opened; i++) {
      this.#laneCount++;
      void scope.spawn(this.#lane());
    }
    return opened;
  }

  #limit(): number {
    const { most, goodput } = this.#options;
    return Math.min(most, goodput?.limit ?? most);
  }

  async #lane(): Promise<void> {
    const { scope, goodput, demand } = this.#options;
    try {
      // The last lane stays, whatever the limit.
      do {
        const job = this.#jobs[this.#next++];
        if (job === undefined) return;
        goodput?.begun();
        try {
          await this.#run(job);
        } finally {
          goodput?.ended();
        }
      } while (
        !scope.ended &&
        (this.#laneCount === 1 || (this.#laneCount <= this.#limit() && demand?.hasBacklog !== true))
      );
    } finally {
      this.#laneCount--;
    }
  }
}
