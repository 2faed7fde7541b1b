/**
 * The benchmark harness as a library: seeded inputs, processes timed whole, kernels timed in loops,
 * a sink and a gateway to talk to, reports that can be read, drawn and compared.
 */

export { type Change, type Comparison, compareReports } from './compare.js';
export {
  type Ability,
  type Contender,
  type OrbweaverSettings,
  PEER_NAMES,
} from './contenders.js';
export {
  type BlockMaker,
  type CorpusName,
  createBlockMaker,
  writeCorpus,
  writeSmallFiles,
} from './corpora.js';
export { type HtmlReportOptions, htmlReport } from './html-report.js';
export type { Input, Material, MaterialName } from './inputs.js';
export { type KernelBenchOptions, type KernelCase, runKernelBench } from './kernel-bench.js';
export {
  type BenchEvent,
  type BenchOptions,
  type BenchServer,
  DEFAULT_ROUNDS,
  DEFAULT_SIZE_BYTES,
  DEFAULT_SMALL_FILES,
  MIN_SIZE_BYTES,
} from './options.js';
export { defaultPeersDir, installPeers } from './peer-packages.js';
export { type ReleaseOptions, writeRelease } from './release.js';
export { parseReport } from './report-json.js';
export { listScenarios, runBench } from './run-bench.js';
export { type ProcessCommand, type ProcessRun, runProcess } from './run-process.js';
export type { BenchContext, ContenderParts, OpenScenario, Scenario } from './scenario.js';
export type { BenchLink, Server, ServerCounts } from './servers.js';
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
export {
  type ChunkWork,
  type DownloadWork,
  type OwnUsage,
  ownUsage,
  type ServerTarget,
  type UploadWork,
  type WorkRequest,
} from './work.js';
