/**
 * The benchmark harness as a library: seeded inputs, processes timed whole, kernels timed in loops,
 * a sink to upload to, reports that can be compared.
 */

export { type Change, compareReports } from './compare.js';
export {
  type CorpusName,
  createBlockMaker,
  writeChangedRows,
  writeCorpus,
  writeInsertedCopy,
  writeSmallFiles,
} from './corpora.js';
export { type KernelBenchOptions, type KernelCase, runKernelBench } from './kernel-bench.js';
export { type OwnUsage, ownUsage } from './own-usage.js';
export { type ProcessCommand, type ProcessRun, runProcess } from './run-process.js';
export { createSinkServer, type SinkCounts, type SinkServer } from './sink-server.js';
export { median, pairedRatio, quantile, relativeNoise } from './stats.js';
export type { BenchReport, KernelReport, Sample, ScenarioReport, VariantReport } from './types.js';
