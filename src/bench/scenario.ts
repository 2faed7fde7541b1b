import type { Ability, Contender, OrbweaverSettings } from './contenders.js';
import type { Material, MaterialName } from './inputs.js';
import type { ProcessRun } from './run-process.js';
import type { Server } from './servers.js';
import type { NewData, Sample } from './types.js';
import type { WorkRequest } from './work.js';

/** One question of the harness. */
export interface Scenario {
  /** As it stands in reports and on the command line: kebab-case; the first word is its group. */
  readonly name: string;
  /** The question in one sentence. */
  readonly question: string;
  /** What a contender must be able to do, all of it. */
  readonly abilities: readonly Ability[];
  /** Inputs, stores and outputs that lie in the work folder at a time, in sizes of an input. */
  readonly folderInputs: number;
  /** Who takes part, first the one that the ratios refer to. @default orbweaver, then the peers */
  contenders?(parts: ContenderParts): readonly Contender[];
  /** Gets everything ready that is not measured. */
  open(context: BenchContext): Promise<OpenScenario>;
}

/** A scenario that is ready to run. What it leaves open, servers and files, goes when it is over. */
export interface OpenScenario {
  readonly inputBytes: number;
  readonly newData: NewData | null;
  /** One measured run. @throws when it fails or gives a wrong result */
  run(contender: Contender): Promise<Sample>;
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
  /** Makes an input, or takes it from where an earlier scenario has left it. */
  readonly material: (name: MaterialName) => Promise<Material>;
  /** Orbweaver, for what has to be stored before. */
  readonly orbweaver: Contender;
  /** The sink, or the user's server, which all scenarios share. @throws Error without a server */
  readonly shared: (kind: 'sink' | 'remote') => Promise<Server>;
  /** A path that is removed after the scenario; nothing is there yet. */
  readonly freshPath: (name: string) => string;
  /** Has something closed after the scenario, unless it was before. */
  readonly closing: <T extends { close(): Promise<void> }>(opening: Promise<T>) => Promise<T>;
  /** Runs one piece of work in a fresh process with empty caches. */
  readonly runWork: (contender: Contender, work: WorkRequest) => Promise<ProcessRun>;
}
