/** The rate is that of so much time. */
const RATE_WINDOW_MS = 5000;
/** What is told more often counts as told once. */
const SAMPLE_MS = 100;

/** Bytes per second over the last seconds: what a stall or a faster link is to show in. */
export class Speed {
  #samples: { readonly atMs: number; readonly done: number }[];

  constructor(startMs: number) {
    this.#samples = [{ atMs: startMs, done: 0 }];
  }

  /** The rate at this time, when `done` bytes are done. */
  at(atMs: number, done: number): number {
    const samples = this.#samples;
    const last = samples.at(-1) as { atMs: number; done: number };
    // Less than before: it was begun anew.
    if (done < last.done) this.restart(last.atMs, done);
    else if (atMs - last.atMs < SAMPLE_MS) {
      if (samples.length > 1) samples[samples.length - 1] = { atMs: last.atMs, done };
    } else {
      samples.push({ atMs, done });
      while (samples.length > 2 && atMs - (samples[1] as { atMs: number }).atMs >= RATE_WINDOW_MS) {
        samples.shift();
      }
    }
    const first = this.#samples[0] as { atMs: number; done: number };
    return atMs > first.atMs ? ((done - first.done) * 1000) / (atMs - first.atMs) : 0;
  }

  /** What comes now has a pace of its own. */
  restart(atMs: number, done: number): void {
    this.#samples = [{ atMs, done }];
  }
}

/** What is left of the time, seconds; undefined: not known. */
export function secondsLeft(
  done: number,
  total: number | undefined,
  bytesPerSecond: number,
): number | undefined {
  if (total === undefined) return undefined;
  if (done >= total) return 0;
  return bytesPerSecond > 0 ? (total - done) / bytesPerSecond : undefined;
}
