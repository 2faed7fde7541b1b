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
   * After `prepare`: lends the open file to threads that write to it themselves, at any offset, beside
   * `write`. It stays open until the loan ends, also when the sink is aborted meanwhile. Null: not
   * now, `write` is the way.
   */
  lend?(): FileLoan | null;
  /** All is written and verified: make it visible under its final name. */
  commit(sizeBytes: number): Promise<void>;
  /** It failed, for this reason: remove what was written, tell a reader. Never throws. */
  abort(reason?: unknown): Promise<void>;
}

/** A file that its sink has lent out. */
export interface FileLoan {
  readonly fd: number;
  /** Nobody writes by this loan any more; so many bytes were written, in so many milliseconds. */
  end(writtenBytes: number, writeMs: number): void;
  /** The sink's error for one of the system (`ENOSPC`) that a thread met. */
  failure(errno: string, cause: unknown): Error;
}
