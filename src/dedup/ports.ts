/**
 * Where a known chunk was learnt: made in this session, or in an interrupted run of the same upload,
 * from a shard on this machine, or asked.
 */
export type Origin = 'session' | 'resumed' | 'local' | 'global';

/** Consecutive chunks of a file that are consecutive chunks of one known xorb, too. */
export interface KnownRun {
  /** Stands for the xorb within the session. The same xorb has the same number everywhere. */
  readonly xorb: number;
  readonly chunkStart: number;
  readonly chunkCount: number;
  /** Where the run lies in the uncompressed bytes of its xorb; the difference is its size. */
  readonly rawStart: number;
  readonly rawEnd: number;
  readonly origin: Origin;
  /** The xorb is the one being filled now. */
  readonly open: boolean;
  /** The run reaches the end of the batch and the xorb has more: it may go on in the next batch. */
  readonly openEnded: boolean;
  /** The run begins where the previous term of the file ends: it makes that term longer. */
  readonly continues: boolean;
}

/** What was placed, new or known; told in the order of the file. */
export interface PlacedRun {
  readonly xorb: number;
  readonly chunkCount: number;
  readonly rawStart: number;
  readonly rawEnd: number;
  /** True when the chunks were appended to the open xorb. */
  readonly isNew: boolean;
  /** False when the run made the previous term longer. */
  readonly startsTerm: boolean;
}

/** A policy's view of one file. */
export interface FilePlacement {
  /** Index of the best of `runs` (at least one, all starting at the same chunk of the file). */
  choose(runs: readonly KnownRun[]): number;
  /**
   * False to store the chunks of `run` again. Only asked for runs that the policy may refuse and
   * that do not continue the previous term.
   */
  accepts(run: KnownRun): boolean;
  placed(run: PlacedRun): void;
}

/** Decides for chunks that are known already: refer to them, or store them once more. */
export interface PlacementPolicy {
  readonly name: string;
  /**
   * What may be refused: `outside` = only chunks that others stored, so that nothing is stored
   * twice in a session; `closed` = also the finished xorbs of this session.
   */
  readonly mayRefuse: 'outside' | 'closed';
  openFile(): FilePlacement;
}
