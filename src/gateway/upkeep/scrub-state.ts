import type { ValueStore } from '../ports.js';
import type { Scrubbed } from './scrub.js';

/** How far a scrub got: the value `scrub/state`. */
export interface ScrubState {
  /** Key of the last object that was checked; '' at the start. */
  readonly after: string;
  readonly checkedObjects: number;
  readonly checkedBytes: number;
  /** `chunks` null: all of them. */
  readonly damaged: readonly { readonly key: string; readonly chunks: readonly number[] | null }[];
  readonly repaired: readonly string[];
  /** It is done, and this is what it found. */
  readonly result?: Scrubbed | undefined;
}

const KEY = 'scrub/state';
const START: ScrubState = {
  after: '',
  checkedObjects: 0,
  checkedBytes: 0,
  damaged: [],
  repaired: [],
};

/** The start, or where the last one stopped when it is to be gone on with. */
export async function readScrubState(
  values: ValueStore | undefined,
  resume: boolean,
): Promise<ScrubState> {
  const found = resume ? await values?.read(KEY) : null;
  if (found === null || found === undefined) return START;
  try {
    return { ...START, ...(JSON.parse(new TextDecoder().decode(found.bytes)) as ScrubState) };
  } catch {
    return START;
  }
}

/** Writes how far it got; null: it is done. A place that cannot be written is scrubbed from the start. */
export async function writeScrubState(
  values: ValueStore | undefined,
  state: ScrubState | null,
): Promise<void> {
  try {
    const found = (await values?.read(KEY)) ?? null;
    if (state !== null) {
      const bytes = new TextEncoder().encode(JSON.stringify(state));
      await values?.write(KEY, bytes, found?.version ?? null);
    } else if (found !== null) await values?.delete(KEY, found.version);
  } catch {
    // Only going on with it needs this.
  }
}
