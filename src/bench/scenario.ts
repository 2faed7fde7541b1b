import type { Ability, Contender } from './contender.js';
import type { OrbweaverSettings } from './contender-orbweaver.js';
import type { Inputs } from './inputs.js';
import type { ProcessRun } from './run-process.js';
import type { ServerProcess } from './server-process.js';
import type { NewData, Sample } from './types.js';
import type { WorkRequest } from './work-request.js';

/** One question of the harness. */
export interface Scenario {
  /** As it stands in reports and on the command line: kebab-case; the first word is its group. */
  readonly name: string;
  /** The question in one sentence. */
  readonly question: string;
  /** What a contender must be able to do. */
  readonly ability: Ability;
  /** Inputs, stores and outputs that lie in the work folder at a time, in sizes of an input. */
  readonly folderInputs: number;
  /** Who takes part, first the one that the ratios refer to. @default orbweaver, then the peers */
  contenders?(parts: ContenderParts): readonly Contender[];
  /** Gets everything ready that is not measured. */
  open(context: BenchContext): Promise<OpenScenario>;
}

/** A scenario that is ready to run. */
export interface OpenScenario {
  readonly inputBytes: number;
  readonly newData: NewData | null;
  /** One measured run. @throws when it fails or gives a wrong result */
  run(contender: Contender): Promise<Sample>;
  close(): Promise<void>;
}

/** What a scenario may choose its contenders from. */
export interface ContenderParts {
  /** Orbweaver as the harness was told to set it up. */
  readonly orbweaver: Contender;
  /** Orbweaver with other settings, on top of those. */
  readonly variant: (name: string, settings: OrbweaverSettings) => Contender;
  readonly peers: readonly Contender[];
}

/** What a scenario works with. */
export interface BenchContext {
  readonly sizeBytes: number;
  readonly smallFileCount: number;
  readonly inputs: Inputs;
  /** Files of the user, for the scenarios that take them. */
  readonly filePaths: readonly string[];
  /** Two versions of the user, for `release`. */
  readonly pairPaths: readonly [string, string] | null;
  /** Orbweaver, for what has to be stored before. */
  readonly orbweaver: Contender;
  readonly signal: AbortSignal | undefined;
  /** The sink that all scenarios share. */
  sink(): Promise<ServerProcess>;
  /** The user's own server. @throws Error without one */
  remote(): Promise<ServerProcess>;
  /** A folder that is not there yet. */
  freshPath(name: string): string;
  /** Runs one piece of work in a fresh process with empty caches. */
  runWork(contender: Contender, work: WorkRequest): Promise<ProcessRun>;
}
