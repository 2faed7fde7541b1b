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
  /** All is written and verified: make it visible under its final name. */
  commit(sizeBytes: number): Promise<void>;
  /** It failed, for this reason: remove what was written, tell a reader. Never throws. */
  abort(reason?: unknown): Promise<void>;
}
