import { readFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import process from 'node:process';
import {
  type Contender,
  createOrbweaver,
  nodeProgram,
  type OrbweaverSettings,
} from './contenders.js';
import { createHarness } from './harness.js';
import { inputOf } from './inputs.js';
import {
  type BenchOptions,
  DEFAULT_ROUNDS,
  DEFAULT_SIZE_BYTES,
  MIN_SIZE_BYTES,
} from './options.js';
import type { KernelWork } from './run-kernels.js';
import { runProcess } from './run-process.js';
import type { BenchContext, OpenScenario, Scenario } from './scenario.js';
import { FILE_SCENARIOS, SCENARIOS, SERVER_SCENARIOS, selectScenarios } from './scenarios.js';
import type {
  BenchReport,
  KernelReport,
  Machine,
  Sample,
  ScenarioReport,
  VariantReport,
} from './types.js';
import { createWorkFolder } from './work-folder.js';

/** All generated inputs, a store with both versions and one with the second, an output. */
const MOST_FOLDER_INPUTS = 14;
/** Kernels are no processes: they have a table of their own. */
const KERNELS = 'kernels';
/** Per kernel and round. */
const KERNEL_MS = 300;

/**
 * Runs scenarios: each measurement is a whole process of its own, contenders take turns and the order
 * is reversed each round. Everything it makes lies in one folder that is removed at the end.
 *
 * @throws RangeError for a scenario, peer or number that does not exist; what `signal` was aborted with
 * @example
 * const report = await runBench({ scenarios: ['upload-random'], sizeBytes: 64 << 20, rounds: 3 });
 * console.log(textReport(report));
 */
export async function runBench(options: BenchOptions = {}): Promise<BenchReport> {
  const { rounds = DEFAULT_ROUNDS, sizeBytes = DEFAULT_SIZE_BYTES, files = [], signal } = options;
  if (!(Number.isSafeInteger(rounds) && rounds >= 1)) {
    throw new RangeError(`"rounds" expected 1 or more, got ${rounds}`);
  }
  if (!(Number.isSafeInteger(sizeBytes) && sizeBytes >= MIN_SIZE_BYTES)) {
    throw new RangeError(`"sizeBytes" expected ${MIN_SIZE_BYTES} or more, got ${sizeBytes}`);
  }
  const { chosen, withKernels } = choose(options);
  const startedAt = new Date().toISOString();
  const wanted = chosen.reduce((sum, scenario) => sum + scenario.folderInputs, 0);
  const inputBytes = Math.max(sizeBytes, (await inputOf(files)).sizeBytes);
  const folder = await createWorkFolder(Math.min(wanted, MOST_FOLDER_INPUTS) * inputBytes);
  try {
    const harness = await createHarness(options, folder.path);
    try {
      const scenarios: ScenarioReport[] = [];
      for (const scenario of chosen) {
        signal?.throwIfAborted();
        const run = (context: BenchContext): Promise<ScenarioReport> =>
          runScenario(scenario, options, { context, peers: harness.peers });
        scenarios.push(await harness.within(run));
      }
      const kernels = withKernels ? await runKernels(options, harness.peers) : [];
      const { inMemory } = folder;
      // Not the whole URL: what it may hold beside the host is nobody's business.
      const server = options.server && new URL(options.server.endpoint).origin;
      const machine = describeMachine();
      return { version: 1, startedAt, machine, rounds, inMemory, server, kernels, scenarios };
    } finally {
      await harness.close();
    }
  } finally {
    await folder.remove();
  }
}

/** Names that `scenarios` takes, with their questions. */
export function listScenarios(): { readonly name: string; readonly question: string }[] {
  const processes = [...SCENARIOS, ...FILE_SCENARIOS, ...SERVER_SCENARIOS];
  return [
    ...processes.map(({ name, question }) => ({ name, question })),
    { name: KERNELS, question: 'How fast each kernel is on one thread, in a warm loop.' },
  ];
}

function choose({ scenarios = [], files = [], server }: BenchOptions): {
  readonly chosen: readonly Scenario[];
  readonly withKernels: boolean;
} {
  if (server !== undefined && files.length === 0) {
    throw new RangeError('"files" expected at least one, to measure a server with');
  }
  const own = files.length === 0 ? [] : server === undefined ? FILE_SCENARIOS : SERVER_SCENARIOS;
  if (scenarios.length === 0) {
    return own.length === 0
      ? { chosen: SCENARIOS, withKernels: true }
      : { chosen: own, withKernels: false };
  }
  const names = scenarios.filter((scenario) => typeof scenario === 'string');
  const given = scenarios.filter((scenario) => typeof scenario !== 'string');
  const builtIn = names.filter((name) => name !== KERNELS);
  const all = [...SCENARIOS, ...own];
  const { chosen, unknown } = selectScenarios(builtIn, builtIn.length === 0 ? [] : all);
  if (unknown.length > 0) {
    const known = [...all.map((scenario) => scenario.name), KERNELS].join(', ');
    throw new RangeError(
      `"scenarios" expected some of ${known}, or a first word of them, got ${unknown.join(', ')}`,
    );
  }
  return { chosen: [...chosen, ...given], withKernels: names.includes(KERNELS) };
}

/** A contender with what it has measured so far. */
interface Lane {
  readonly contender: Contender;
  readonly samples: Sample[];
  failure: string | null;
}

/**
 * Runs one scenario: in each round every contender once, in turns, the order reversed from round to
 * round. A contender that fails is out, with the reason; the others go on.
 */
async function runScenario(
  scenario: Scenario,
  options: BenchOptions,
  { context, peers }: { readonly context: BenchContext; readonly peers: readonly Contender[] },
): Promise<ScenarioReport> {
  const { rounds = DEFAULT_ROUNDS, signal, onProgress } = options;
  const { name, question } = scenario;
  let lanes = contendersOf(scenario, peers, options.orbweaver).map((contender): Lane => {
    return { contender, samples: [], failure: contender.missing };
  });
  const fail = (lane: Lane | undefined, error: unknown): void => {
    signal?.throwIfAborted();
    if (lane === undefined) return;
    lane.failure = error instanceof Error ? error.message : String(error);
    const contender = lane.contender.name;
    onProgress?.({ type: 'failed', scenario: name, contender, reason: lane.failure });
  };
  onProgress?.({ type: 'scenario', scenario: name });
  let open: OpenScenario | null = null;
  try {
    open = await scenario.open(context);
  } catch (error) {
    fail(lanes[0], new Error(`could not be prepared: ${(error as Error).message}`));
    lanes = lanes.filter((lane) => lane.failure !== null);
  }
  for (let round = 1; open !== null && round <= rounds; round++) {
    for (const lane of round % 2 === 1 ? lanes : lanes.toReversed()) {
      if (lane.failure !== null) continue;
      try {
        const sample = await open.run(lane.contender);
        lane.samples.push(sample);
        const contender = lane.contender.name;
        onProgress?.({ type: 'sample', scenario: name, contender, round, sample });
      } catch (error) {
        fail(lane, error);
      }
    }
  }
  const { inputBytes = 0, newData = null } = open ?? {};
  return { name, question, inputBytes, newData, variants: lanes.map(variantOf) };
}

function variantOf({ contender, samples, failure: skipped }: Lane): VariantReport {
  const { name, version, missing } = contender;
  return { name, version, skipped, failed: skipped !== missing, samples };
}

/** Who takes part, and last those who would if they were there. */
function contendersOf(
  { abilities, contenders }: Scenario,
  all: readonly Contender[],
  settings: OrbweaverSettings | undefined,
): readonly Contender[] {
  const able = all.filter((peer) => abilities.every((one) => peer.abilities.includes(one)));
  const peers = able.filter(({ missing }) => missing === null);
  const variant = (name: string, more = {}): Contender =>
    createOrbweaver(name, { ...settings, ...more });
  const orbweaver = variant('orbweaver');
  const taking = contenders?.({ orbweaver, variant, peers }) ?? [orbweaver, ...peers];
  return [...taking, ...able.filter(({ missing }) => missing !== null)];
}

/** Times all kernels in a process of their own. */
async function runKernels(
  { rounds = DEFAULT_ROUNDS, signal, onProgress }: BenchOptions,
  peers: readonly Contender[],
): Promise<readonly KernelReport[]> {
  onProgress?.({ type: 'scenario', scenario: KERNELS });
  const urlOf = (name: string): string =>
    peers.find((peer) => peer.name === name && peer.missing === null)?.moduleUrl ?? '';
  const chunkerUrl = urlOf('@huggingface/xetchunk-wasm');
  const work: KernelWork = {
    rounds,
    timeMs: KERNEL_MS,
    chunkerUrl,
    hashWasmUrl: urlOf('hash-wasm'),
  };
  const { result } = await runProcess({ ...nodeProgram('run-kernels', work), signal });
  return result['kernels'] as readonly KernelReport[];
}

/** The machine and the programs that a report is about. */
function describeMachine(): Machine {
  const all = cpus();
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return {
    cpu: all[0]?.model.trim() ?? 'unknown',
    cores: all.length,
    memoryBytes: totalmem(),
    platform: `${process.platform} ${process.arch} ${release()}`,
    node: process.version,
    orbweaver: (JSON.parse(manifest) as { version: string }).version,
  };
}
