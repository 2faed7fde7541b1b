import type { Clock } from '../../flow/index.js';

/** What is counted in each period. */
export const SAMPLE_FIELDS = [
  'requests',
  'refused',
  'failed',
  'receivedBytes',
  'sentBytes',
  'durationMs',
] as const;
export type SampleField = (typeof SAMPLE_FIELDS)[number];

/** Sums of the last periods, oldest first; all lists have the same length. */
export type Samples = Readonly<Record<SampleField, readonly number[]>>;

/** The last hour in steps of ten seconds: 17 KiB, whatever happens. */
export const PERIOD_MS = 10_000;
export const PERIODS = 360;

export interface Ring {
  add(field: SampleField, amount: number): void;
  /** As far back as there was anybody to count, an hour at most. The last period is not over yet. */
  samples(): Samples;
}

/**
 * Counts in periods of a clock and keeps the last of them. There is no timer: periods that have passed are
 * emptied when somebody counts or looks.
 */
export function createRing(clock: Pick<Clock, 'now'>): Ring {
  const width = SAMPLE_FIELDS.length;
  const sums = new Float64Array(PERIODS * width);
  const first = Math.floor(clock.now() / PERIOD_MS);
  let latest = first;
  const advance = (): void => {
    const period = Math.floor(clock.now() / PERIOD_MS);
    const passed = Math.min(period - latest, PERIODS);
    for (let i = 0; i < passed; i++) {
      const at = ((period - i) % PERIODS) * width;
      sums.fill(0, at, at + width);
    }
    if (period > latest) latest = period;
  };
  return {
    add(field, amount) {
      advance();
      const at = (latest % PERIODS) * width + SAMPLE_FIELDS.indexOf(field);
      sums[at] = (sums[at] as number) + amount;
    },
    samples() {
      advance();
      const count = Math.min(latest - first + 1, PERIODS);
      const of = (field: number): number[] =>
        Array.from({ length: count }, (_, i) => {
          const period = latest - count + 1 + i;
          return sums[(period % PERIODS) * width + field] as number;
        });
      return Object.fromEntries(
        SAMPLE_FIELDS.map((name, i) => [name, of(i)]),
      ) as unknown as Samples;
    },
  };
}
