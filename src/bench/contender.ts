import type { ProcessCommand } from './run-process.js';
import type { WorkRequest } from './work-request.js';

/** Who can be measured: orbweaver with some settings, or a peer. */
export interface Contender {
  /** As it stands in reports and after `--peers`. */
  readonly name: string;
  /** What it can do: it takes part in the scenarios that ask for one of these. */
  readonly abilities: readonly Ability[];
  /** Looks whether it is installed. */
  probe(): Promise<Probe>;
  /** The process that does this work. Called only after a probe that found it. */
  command(work: WorkRequest): ProcessCommand;
}

/**
 * A kind of work: `download-range` is a download of a part, `private-ca` any work over TLS with a
 * certificate that it has to be told of.
 */
export type Ability = 'chunk' | 'upload' | 'download' | 'download-range' | 'private-ca';

/** Result of a probe. */
export type Probe =
  | { readonly found: true; readonly version: string | null }
  | { readonly found: false; readonly reason: string };
