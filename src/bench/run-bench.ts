import {
  type BenchOptions,
  DEFAULT_ROUNDS,
  DEFAULT_SIZE_BYTES,
  MIN_SIZE_BYTES,
} from './bench-options.js';
import { createHarness } from './harness.js';
import { inputOf } from './inputs.js';
import { runKernelProcess } from './kernel-process.js';
import { describeMachine } from './machine.js';
import { runScenario } from './run-scenario.js';
import type { Scenario } from './scenario.js';
import { FILE_SCENARIOS, SCENARIOS, selectScenarios } from './scenarios.js';
import { SERVER_SCENARIOS } from './scenarios-server.js';
import type { BenchReport, KernelReport, ScenarioReport } from './types.js';
import { createWorkFolder } from './work-folder.js';

/** All generated inputs, a store with both versions and one with the second, an output. */
const MOST_FOLDER_INPUTS = 14;
/** Kernels are no processes: they have a table of their own. */
const KERNELS = 'kernels';

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
  const { rounds = DEFAULT_ROUNDS, sizeBytes = DEFAULT_SIZE_BYTES, signal } = options;
  if (!(Number.isSafeInteger(rounds) && rounds >= 1)) {
    throw new RangeError(`"rounds" expected 1 or more, got ${rounds}`);
  }
  if (!(Number.isSafeInteger(sizeBytes) && sizeBytes >= MIN_SIZE_BYTES)) {
    throw new RangeError(`"sizeBytes" expected ${MIN_SIZE_BYTES} or more, got ${sizeBytes}`);
  }
  const { chosen, withKernels } = choose(options);
  const onProgress = options.onProgress ?? (() => {});
  const startedAt = new Date().toISOString();
  const wanted = chosen.reduce((sum, scenario) => sum + scenario.folderInputs, 0);
  const ownBytes = (await inputOf(options.files ?? [])).sizeBytes;
  const folder = await createWorkFolder(
    Math.min(wanted, MOST_FOLDER_INPUTS) * Math.max(sizeBytes, ownBytes),
  );
  try {
    const harness = await createHarness(options, folder.path);
    try {
      const settings = options.orbweaver ?? {};
      const scenarios: ScenarioReport[] = [];
      for (const scenario of chosen) {
        signal?.throwIfAborted();
        const run = { harness, rounds, settings, onProgress };
        scenarios.push(await runScenario(scenario, run));
      }
      let kernels: readonly KernelReport[] = [];
      if (withKernels) {
        onProgress({ type: 'scenario', scenario: KERNELS });
        const { peersDir } = harness;
        const peers = harness.peers.map((peer) => peer.contender.name);
        kernels = await runKernelProcess({ rounds, peers, peersDir, signal });
      }
      const { inMemory } = folder;
      const machine = describeMachine();
      return { version: 1, startedAt, machine, rounds, inMemory, kernels, scenarios };
    } finally {
      await harness.close();
    }
  } finally {
    await folder.remove();
  }
}

/** Names that `scenarios` takes, with their questions. */
export function listScenarios(): { readonly name: string; readonly question: string }[] {
  return [
    ...[...SCENARIOS, ...FILE_SCENARIOS, ...SERVER_SCENARIOS].map(({ name, question }) => ({
      name,
      question,
    })),
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
  const { chosen, unknown } =
    builtIn.length === 0 ? { chosen: [], unknown: [] } : selectScenarios(builtIn, all);
  if (unknown.length > 0) {
    const known = [...all.map((scenario) => scenario.name), KERNELS].join(', ');
    throw new RangeError(
      `"scenarios" expected some of ${known}, or a first word of them, got ${unknown.join(', ')}`,
    );
  }
  return { chosen: [...chosen, ...given], withKernels: names.includes(KERNELS) };
}
