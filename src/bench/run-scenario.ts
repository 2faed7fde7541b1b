import type { BenchEvent } from './bench-options.js';
import type { Contender } from './contender.js';
import { createOrbweaver, type OrbweaverSettings } from './contender-orbweaver.js';
import type { Harness, ProbedPeer } from './harness.js';
import type { OpenScenario, Scenario } from './scenario.js';
import type { Sample, ScenarioReport, VariantReport } from './types.js';

export interface ScenarioRun {
  readonly harness: Harness;
  readonly rounds: number;
  readonly settings: OrbweaverSettings;
  readonly onProgress: (event: BenchEvent) => void;
}

/** A contender with what it has measured so far. */
interface Lane {
  readonly contender: Contender;
  readonly version: string | null;
  readonly samples: Sample[];
  failure: string | null;
}

/**
 * Runs one scenario: in each round every contender once, in turns, the order reversed from round to
 * round. A contender that fails is out, with the reason; the others go on.
 */
export async function runScenario(scenario: Scenario, run: ScenarioRun): Promise<ScenarioReport> {
  const { harness, onProgress } = run;
  const { name, question } = scenario;
  const able = harness.peers.filter((peer) => peer.contender.abilities.includes(scenario.ability));
  const lanes = createLanes(scenario, able, run);
  const skipped = able.flatMap(skippedVariant);
  onProgress({ type: 'scenario', scenario: name });

  let open: OpenScenario;
  try {
    open = await scenario.open(harness.context);
  } catch (error) {
    harness.context.signal?.throwIfAborted();
    const reason = `could not be prepared: ${messageOf(error)}`;
    onProgress({ type: 'failed', scenario: name, contender: 'orbweaver', reason });
    const variants = [{ ...idle('orbweaver', reason), failed: true }, ...skipped];
    return { name, question, inputBytes: 0, newData: null, variants };
  }
  try {
    for (let round = 0; round < run.rounds; round++) {
      const order = round % 2 === 0 ? lanes : [...lanes].reverse();
      for (const lane of order) {
        if (lane.failure === null) await runOnce(open, lane, { scenario: name, round, run });
      }
    }
  } finally {
    await open.close();
  }
  return {
    name,
    question,
    inputBytes: open.inputBytes,
    newData: open.newData,
    variants: [...lanes.map(variantOf), ...skipped],
  };
}

function createLanes(scenario: Scenario, able: readonly ProbedPeer[], run: ScenarioRun): Lane[] {
  const { orbweaver } = run.harness.context;
  const found = able.filter(({ probe }) => probe.found);
  const peers = found.map(({ contender }) => contender);
  const variant = (name: string, settings: OrbweaverSettings): Contender =>
    createOrbweaver(name, { ...run.settings, ...settings });
  const contenders = scenario.contenders?.({ orbweaver, variant, peers }) ?? [orbweaver, ...peers];
  return contenders.map((contender) => {
    // A scenario may have given a peer another name, behind its own.
    const peer = found.find((candidate) => contender.name.startsWith(candidate.contender.name));
    const version = peer?.probe.found === true ? peer.probe.version : null;
    return { contender, version, samples: [], failure: null };
  });
}

async function runOnce(
  open: OpenScenario,
  lane: Lane,
  at: { readonly scenario: string; readonly round: number; readonly run: ScenarioRun },
): Promise<void> {
  const { scenario, round, run } = at;
  const contender = lane.contender.name;
  try {
    const sample = await open.run(lane.contender);
    lane.samples.push(sample);
    run.onProgress({ type: 'sample', scenario, contender, round: round + 1, sample });
  } catch (error) {
    run.harness.context.signal?.throwIfAborted();
    lane.failure = messageOf(error);
    run.onProgress({ type: 'failed', scenario, contender, reason: lane.failure });
  }
}

function variantOf(lane: Lane): VariantReport {
  return {
    name: lane.contender.name,
    version: lane.version,
    skipped: lane.failure,
    failed: lane.failure !== null,
    samples: lane.samples,
  };
}

function skippedVariant({ contender, probe }: ProbedPeer): VariantReport[] {
  return probe.found ? [] : [idle(contender.name, probe.reason)];
}

function idle(name: string, skipped: string): VariantReport {
  return { name, version: null, skipped, failed: false, samples: [] };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
