/**
 * What is remembered of transfers on disk, so that a later run goes on where this one stopped.
 * Implementation: `io/`. Entries are plain values; secrets (tokens, passphrases, signed URLs) never
 * become part of one.
 */

/** A value that JSON keeps as it is. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** Members by name. */
export type JsonRecord = Readonly<Record<string, JsonValue>>;

/** One line of a journal: what happened. The other members are its writer's. */
export interface JournalEntry {
  readonly type: string;
  readonly [key: string]: JsonValue;
}

/** The journal of one transfer, open for writing by one process. */
export interface TransferJournal {
  readonly id: string;
  /** All entries so far, those of earlier runs first. */
  readonly entries: readonly JournalEntry[];
  /**
   * Adds an entry. With `durable` it resolves when the disk has the entry and all before it (fsync);
   * without, as soon as the entry is handed to the system. Entries keep their order.
   * @throws OrbweaverError `DISK_FULL`, `STORAGE_FAILED`
   */
  append(entry: JournalEntry, options?: { readonly durable?: boolean | undefined }): Promise<void>;
  /**
   * Adds bytes that are too many for an entry: they are kept beside the entries and read one block at
   * a time. Resolves when the system has them: they survive the end of the process at once, and that
   * of the machine within a second, as all blocks of that time are made durable together.
   * @throws OrbweaverError `DISK_FULL`, `STORAGE_FAILED`
   */
  appendBlock(bytes: Uint8Array): Promise<void>;
  /** The blocks so far, those of earlier runs first, up to one that is torn or damaged. */
  blocks(): AsyncIterable<Uint8Array>;
  /** Writes what is still on its way. The journal stays on disk. */
  close(): Promise<void>;
  /** The transfer is over: nothing of it stays on disk. */
  drop(): Promise<void>;
}

/** A journal as the list shows it. */
export interface JournalSummary {
  readonly id: string;
  /** Milliseconds since the Unix epoch of the last change. */
  readonly changedMs: number;
  readonly entries: readonly JournalEntry[];
  /** A process that still runs writes to it. */
  readonly busy: boolean;
  /** Bytes on disk, blocks included. */
  readonly diskBytes: number;
  /** Absolute path of the list that it was created with; absent: it has none, or not all of it. */
  readonly listPath?: string | undefined;
}

/** All journals of a state folder. */
export interface Journals {
  /**
   * A new one, which begins with `first`. Without `durable` it survives the end of the process, and
   * that of the machine when something durable was added.
   * @param options `durable` is true when nothing is said; `list` is kept in a file of its own beside the
   * journal while there is one, for its owner only, and the first entry says its size (`listBytes`)
   * @throws OrbweaverError `STORAGE_FAILED`, `DISK_FULL`
   */
  create(
    first: JournalEntry,
    options?: { readonly durable?: boolean | undefined; readonly list?: Uint8Array | undefined },
  ): Promise<TransferJournal>;
  /**
   * Takes over the journal of an earlier run. Null: there is none, or a process that still runs writes
   * to it. A torn last line is cut off.
   */
  open(id: string): Promise<TransferJournal | null>;
  /** Newest first. */
  list(): Promise<readonly JournalSummary[]>;
  /** Forgets one. False: there is none. */
  drop(id: string): Promise<boolean>;
}
