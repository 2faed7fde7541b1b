import { median } from './stats.js';
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
  // Only who times kernels loads it: everything else of the harness measures whole processes.
  const { Bench } = await import('tinybench');
  const { timeMs = 300, rounds = 3 } = options;
  const lanes = cases.map((one) => ({ one, medians: [] as number[], noises: [] as number[] }));
  for (let round = 0; round < rounds; round++) {
    for (const { one, medians, noises } of round % 2 === 0 ? lanes : lanes.toReversed()) {
      const bench = new Bench({
        time: timeMs,
        iterations: LEAST_CALLS,
        warmupTime: timeMs / 5,
        warmupIterations: LEAST_WARM_CALLS,
      });
      bench.add(one.name, () => void one.run());
      await bench.run();
      const result = bench.tasks[0]?.result;
      if (result === undefined || !('latency' in result)) {
        throw new Error(`"${one.name}" could not be timed`);
      }
      const { p50, p75 } = result.latency;
      medians.push(p50 * 1e6);
      noises.push((p75 - p50) / p50);
    }
  }
  return lanes.map(({ one: { name, variant, bytesPerCall }, medians, noises }) => {
    return { name, variant, bytesPerCall, medianNs: median(medians), noise: median(noises) };
  });
}
