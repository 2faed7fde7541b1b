import type { ChunkRun, KeptRun } from '../client/ports.js';

/** Files below this size begin anew, bytes: going on with them would cost more than it saves. */
export const LEAST_KEPT_BYTES: number = 4 * 1024 * 1024;

/** What nobody went on with for a week is removed, whatever it is for. */
export const KEPT_PART_MS: number = 7 * 24 * 60 * 60 * 1000;

/** A list of runs at the positions at which they were written. */
export interface PartLedger {
  /** Adds a run, of which a copy is made. Its position is known at once; a failed write shows in `read`. */
  append(run: ChunkRun): KeptRun;
  /** @throws OrbweaverError `STORAGE_FAILED` when the run is not there */
  read(run: KeptRun): Promise<ChunkRun>;
  /** False: no more can be written. */
  readonly isWhole: boolean;
  /** When everything is handed to the system. Never rejects. */
  close(): Promise<void>;
}

/** Where the list of a part lies, and the one that is to take its place while it is written anew. */
export interface LedgerPlace {
  /** An empty one under the name of the list, or beside it. Where it cannot be made, it is not whole. */
  create(as: 'list' | 'draft'): PartLedger;
  /** The draft takes the place of the list. */
  replace(draft: PartLedger): Promise<void>;
  /** Removes what is under these names. Never rejects. */
  remove(...names: readonly ('list' | 'draft')[]): Promise<void>;
}

/** A list of an earlier run, and what it says. */
export interface OldRuns {
  readonly ledger: PartLedger;
  /** Ascending and apart. */
  readonly runs: readonly KeptRun[];
}

/**
 * Which chunks of an unfinished output are noted, from the claims of an earlier run to what a later one
 * finds. The output itself, and where lists lie, are up to the caller.
 */
export class KeptRuns {
  readonly #leastBytes: number;
  #place: LedgerPlace | null = null;
  #old: { readonly ledger: PartLedger; readonly bytes: number } | null = null;
  #ledger: PartLedger | null = null;
  #notedBytes = 0;
  #expectedBytes = 0;
  #settled = true;
  #forgotten = false;
  #over = false;

  /** @param options `leastBytes`: of smaller outputs nothing is noted */
  constructor({ leastBytes }: { readonly leastBytes: number }) {
    this.#leastBytes = leastBytes;
  }

  /** There is an output now; `old`: an earlier run's. */
  begin(place: LedgerPlace, old: OldRuns | null): void {
    this.#place = place;
    if (old === null) return;
    const bytes = old.runs.reduce((sum, run) => sum + run.sizeBytes, 0);
    this.#old = { ledger: old.ledger, bytes };
    this.#settled = false;
  }

  /** At least so many bytes will be written. */
  expect(sizeBytes: number): void {
    this.#expectedBytes = Math.max(this.#expectedBytes, sizeBytes);
  }

  note(run: ChunkRun): KeptRun | null {
    if (this.#forgotten || this.#over || this.#place === null) return null;
    if (this.#ledger === null) {
      if (this.#settled && this.#expectedBytes < this.#leastBytes) return null;
      this.#ledger = this.#place.create(this.#settled ? 'list' : 'draft');
    }
    if (!this.#ledger.isWhole) return null;
    const kept = this.#ledger.append(run);
    this.#notedBytes += kept.sizeBytes;
    return kept;
  }

  /** @throws OrbweaverError `STORAGE_FAILED` */
  read(run: KeptRun): Promise<ChunkRun> {
    const ledger = this.#settled ? this.#ledger : this.#old?.ledger;
    if (ledger === null || ledger === undefined) throw new TypeError('no run was noted');
    return ledger.read(run);
  }

  async settle(): Promise<void> {
    const place = this.#place;
    if (this.#settled || place === null) return;
    await this.#old?.ledger.close();
    this.#old = null;
    this.#settled = true;
    if (this.#ledger === null) await place.remove('list');
    // Where that fails, the old list stays, and what it says is looked at again.
    else await place.replace(this.#ledger).catch(() => place.remove('draft'));
  }

  forget(): void {
    this.#forgotten = true;
  }

  /** Bytes that a later run will find. */
  get keptBytes(): number {
    if (this.#forgotten) return 0;
    return this.#settled ? this.#notedBytes : (this.#old?.bytes ?? 0);
  }

  /**
   * Nothing more is written to the output.
   * @returns false when nothing of it is kept: then removing it is up to the caller
   */
  async leave(): Promise<boolean> {
    const keeps = this.#place !== null && this.keptBytes > 0;
    await this.#close();
    if (!keeps) await this.#removeLists();
    else if (!this.#settled) await this.#place?.remove('draft');
    return keeps;
  }

  /** The output has its final name: the list is of no use any more. */
  async finish(): Promise<void> {
    await this.#close();
    await this.#removeLists();
  }

  async #close(): Promise<void> {
    this.#over = true;
    await Promise.all([this.#old?.ledger.close(), this.#ledger?.close()]);
  }

  async #removeLists(): Promise<void> {
    if (this.#ledger === null && this.#old === null) return;
    await this.#place?.remove('list', 'draft');
  }
}

/**
 * Of runs that overlap, the one that was written last, or that begins first.
 * @returns ascending and apart
 */
export function apart(runs: readonly KeptRun[]): KeptRun[] {
  const sorted = [...runs].sort((a, b) => a.offset - b.offset || b.position - a.position);
  const kept: KeptRun[] = [];
  let end = 0;
  for (const run of sorted) {
    if (run.offset < end) continue;
    kept.push(run);
    end = run.offset + run.sizeBytes;
  }
  return kept;
}
