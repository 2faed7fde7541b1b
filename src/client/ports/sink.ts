/** Where a download goes. `offset` counts from the start of the output. */
export interface Sink {
  /** Path or label, for results and messages. */
  readonly name: string;
  /** True: writes may come in any order and overlap in time. False: strictly in order, one at a time. */
  readonly positional: boolean;
  /**
   * Called before the first write, and again when more is known: at least `sizeBytes` will come.
   * A place to refuse early. @throws DISK_FULL, OUTPUT_UNWRITABLE
   */
  prepare?(sizeBytes: number): Promise<void>;
  /** Resolves when the bytes may be reused by the caller. */
  write(bytes: Uint8Array, offset: number): Promise<void>;
  /** The same for pieces that follow each other, where one call is cheaper than many. */
  writeAll?(pieces: readonly Uint8Array[], offset: number): Promise<void>;
  /**
   * The same as `write` with bytes that nobody else uses: the sink may keep them. For sinks that would
   * copy what they are given.
   */
  writeOwned?(bytes: Uint8Array<ArrayBuffer>, offset: number): Promise<void>;
  /**
   * These bytes are zeros and nothing was or will be written there: a positional sink of which what was
   * not written is zeros has them already. `commit` then counts them.
   */
  skip?(offset: number, lengthBytes: number): void;
  /** What a later run may go on with, for sinks that can leave something behind. */
  readonly part?: SinkPart | undefined;
  /** All is written and verified: make it visible under its final name. */
  commit(sizeBytes: number): Promise<void>;
  /**
   * It failed, for this reason: remove what was written, unless its `part` keeps it; tell a reader.
   * Never throws.
   */
  abort(reason?: unknown): Promise<void>;
}

/** Chunks that lie side by side in a file. */
export interface ChunkRun {
  /** Of the first one, in the file. */
  readonly offset: number;
  /** Bytes of each. */
  readonly lengths: Uint32Array;
  /** Hashes, 32 bytes each. */
  readonly hashes: Uint8Array;
}

/** A run that a {@link SinkPart} remembers, without its chunks. */
export interface KeptRun {
  readonly offset: number;
  readonly sizeBytes: number;
  readonly chunkCount: number;
  /** Where the part has its chunks. */
  readonly position: number;
}

/**
 * An unfinished output that stays when writing it fails, with a list of the chunks that are in it. The
 * list is a claim: whoever goes on reads the bytes back and holds them against it.
 */
export interface SinkPart {
  /**
   * Takes over what an earlier run left, if there is something and nobody is at it: its runs, ascending
   * and apart. They stay readable until {@link settle}. Called once, before everything else.
   */
  claims(): Promise<readonly KeptRun[]>;
  /** The chunks of a run. @throws OrbweaverError `STORAGE_FAILED` when they cannot be read back */
  read(run: KeptRun): Promise<ChunkRun>;
  /** Bytes that lie in the output; behind its end there are zeros. @throws what reading throws */
  readAt(into: Uint8Array, offset: number): Promise<void>;
  /**
   * Chunks that were written, or were found there, and are what they should be. Copies what it is given.
   * Null: they are not remembered (the output is small, the list cannot be written).
   */
  note(run: ChunkRun): KeptRun | null;
  /** The claims were looked at: from here on only what was noted counts. */
  settle(): Promise<void>;
  /** What was written is not to be trusted: nothing of it stays, neither now nor for later. */
  forget(): void;
  /** Bytes that a later run will find, once `abort` is over; 0: nothing stays. */
  readonly keptBytes: number;
}
