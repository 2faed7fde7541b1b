import { Bench } from 'tinybench';
import type { KernelReport } from './types.js';

/** A function to time: `run` works on `bytesPerCall` bytes. */
export interface KernelCase {
  /** What is done, for example `gear scan`. Cases with the same name are contenders. */
  readonly name: string;
  /** Who does it. */
  readonly variant: string;
  readonly bytesPerCall: number;
  readonly run: () => unknown;
}

export interface KernelBenchOptions {
  /** Time per case and round, in milliseconds. @default 300 */
  readonly timeMs?: number | undefined;
  /** Rounds; the order of the cases is reversed each time. @default 3 */
  readonly rounds?: number | undefined;
}

/** A slow case ends after so many calls, whatever the time: its default of 64 can be minutes. */
const LEAST_CALLS = 5;
const LEAST_WARM_CALLS = 2;

/**
 * Times each case in a warm loop. Contenders take turns and the order is reversed each round, so
 * that a machine whose speed drifts treats them alike.
 *
 * @example
 * const [report] = await runKernelBench([
 *   { name: 'fill', variant: 'Uint8Array', bytesPerCall: 1 << 20, run: () => new Uint8Array(1 << 20).fill(7) },
 * ]);
 */
export async function runKernelBench(
  cases: readonly KernelCase[],
  options: KernelBenchOptions = {},
): Promise<KernelReport[]> {
  const { timeMs = 300, rounds = 3 } = options;
  const times = cases.map((): { medianNs: number; noise: number }[] => []);
  for (let round = 0; round < rounds; round++) {
    const order = cases.map((_, index) => (round % 2 === 0 ? index : cases.length - 1 - index));
    for (const index of order) {
      const { name, run } = cases[index] as KernelCase;
      const bench = new Bench({
        time: timeMs,
        iterations: LEAST_CALLS,
        warmupTime: timeMs / 5,
        warmupIterations: LEAST_WARM_CALLS,
      });
      bench.add(name, () => {
        run();
      });
      await bench.run();
      const result = bench.tasks[0]?.result;
      if (result === undefined || !('latency' in result)) {
        throw new Error(`"${name}" could not be timed`);
      }
      const { latency } = result;
      times[index]?.push({
        medianNs: latency.p50 * 1e6,
        noise: (latency.p75 - latency.p50) / latency.p50,
      });
    }
  }
  return cases.map(({ name, variant, bytesPerCall }, index) => {
    const runs = (times[index] ?? []).sort((a, b) => a.medianNs - b.medianNs);
    const middle = runs[Math.floor(runs.length / 2)] ?? { medianNs: Number.NaN, noise: 0 };
    return { name, variant, bytesPerCall, ...middle };
  });
}
