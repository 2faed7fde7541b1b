/**
 * The benchmark harness as a library: seeded inputs, processes timed whole, kernels timed in loops,
 * a sink and a gateway to talk to, reports that can be read, drawn and compared.
 */

export {
  type BenchEvent,
  type BenchOptions,
  type BenchServer,
  DEFAULT_ROUNDS,
  DEFAULT_SIZE_BYTES,
  DEFAULT_SMALL_FILES,
  MIN_SIZE_BYTES,
} from './bench-options.js';
export { type Change, type Comparison, compareReports } from './compare.js';
export type { Ability, Contender, Probe } from './contender.js';
export type { OrbweaverSettings } from './contender-orbweaver.js';
export {
  type BlockMaker,
  type CorpusName,
  createBlockMaker,
  writeCorpus,
  writeSmallFiles,
} from './corpora.js';
export { type HtmlReportOptions, htmlReport } from './html-report.js';
export type { Input, InputPair, Inputs } from './inputs.js';
export { type KernelBenchOptions, type KernelCase, runKernelBench } from './kernel-bench.js';
export { measure } from './measure.js';
export { type OwnUsage, ownUsage } from './own-usage.js';
export { defaultPeersDir, installPeers } from './peer-packages.js';
export { PEER_NAMES } from './peers.js';
export { type ReleaseOptions, writeRelease } from './release.js';
export { parseReport } from './report-json.js';
export { listScenarios, runBench } from './run-bench.js';
export { type ProcessCommand, type ProcessRun, runProcess } from './run-process.js';
export type { BenchContext, ContenderParts, OpenScenario, Scenario } from './scenario.js';
export type { ServerCounts, ServerProcess } from './server-process.js';
export {
  createSinkServer,
  type SinkCounts,
  type SinkOptions,
  type SinkServer,
} from './sink-server.js';
export { median, pairedRatio, quantile, relativeNoise } from './stats.js';
export { comparisonText, textReport } from './text-report.js';
export type {
  BenchReport,
  KernelReport,
  Machine,
  NewData,
  Sample,
  ScenarioReport,
  VariantReport,
} from './types.js';
export {
  type Edit,
  fewEdits,
  randomInsertions,
  writeChangedRows,
  writeEditedCopy,
} from './versions.js';
export type { WireCounts } from './wire-meter.js';
export type {
  ChunkWork,
  DownloadWork,
  ServerTarget,
  UploadWork,
  WorkRequest,
} from './work-request.js';
