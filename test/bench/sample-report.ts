import type { BenchReport, Sample, VariantReport } from '../../src/bench/index.js';

/** A sample whose figures are all derived from its wall time. */
export function sample(wallMs: number, fields: Partial<Sample> = {}): Sample {
  return {
    wallMs,
    cpuMs: 1.5 * wallMs,
    peakBytes: 100 << 20,
    wireUpBytes: 1_000_000,
    wireDownBytes: 1000,
    requests: 5,
    storedBytes: 999_000,
    serverCpuMs: wallMs / 10,
    ...fields,
  };
}

export function variant(
  name: string,
  samples: readonly Sample[],
  fields: Partial<VariantReport> = {},
): VariantReport {
  return { name, version: null, skipped: null, failed: false, samples, ...fields };
}

/** A report of one scenario and one kernel. */
export function report(
  variants: readonly VariantReport[],
  fields: Partial<BenchReport> = {},
): BenchReport {
  return {
    version: 1,
    startedAt: '2026-01-02T03:04:05.000Z',
    machine: {
      cpu: 'a processor',
      cores: 2,
      memoryBytes: 8 * 1024 ** 3,
      platform: 'linux x64',
      node: 'v20.0.0',
      orbweaver: '1.0.0',
    },
    rounds: 3,
    inMemory: true,
    kernels: [
      { name: 'copy', variant: 'simd', bytesPerCall: 1000, medianNs: 100, noise: 0.01 },
      { name: 'copy', variant: 'someone', bytesPerCall: 1000, medianNs: 300, noise: 0.01 },
    ],
    scenarios: [
      {
        name: 'upload-something',
        question: 'How long does it take?',
        inputBytes: 1_000_000,
        newData: { chunkCount: 10, rawBytes: 900_000, packedBytes: 800_000 },
        variants,
      },
    ],
    ...fields,
  };
}
