import { GrowableBytes, isZero } from '../../bytes/index.js';
import type { DedupSession } from '../../dedup/index.js';
import type { HashTable } from '../../shard/index.js';
import { type FileRecord, IDENTITY_BYTES } from './file-records.js';

export interface StoredFilesOptions {
  readonly dedup: DedupSession;
  /** Xorbs that the destination has acknowledged. */
  readonly acknowledged: HashTable;
  readonly onStored: (records: readonly FileRecord[]) => void;
}

/**
 * Tells of each file of a session, in the order in which they were finished, when all xorbs are stored
 * that the session has made for it: then it need not be read again, even if the session ends before it
 * is registered. Forty bytes a file.
 */
export class StoredFiles {
  readonly #options: StoredFilesOptions;
  #identities = new GrowableBytes();
  #told = 0;

  constructor(options: StoredFilesOptions) {
    this.#options = options;
  }

  /** The next file is finished. Null: it cannot be known again, or it is known already. */
  finished(identity: Uint8Array | null): void {
    this.#identities.push(identity ?? new Uint8Array(IDENTITY_BYTES));
  }

  /** To be called after acknowledgements. */
  check(): void {
    const { dedup, acknowledged, onStored } = this.#options;
    const files = dedup.takeStoredFiles((xorb) => acknowledged.indexOf(xorb.bytes, 0) >= 0);
    const records: FileRecord[] = [];
    for (const file of files) {
      const at = IDENTITY_BYTES * this.#told++;
      const identity = this.#identities.raw.slice(at, at + IDENTITY_BYTES);
      if (!isZero(identity)) records.push({ identity, file: file() });
    }
    onStored(records);
  }

  /** The session forgets its finished files, for a second round. */
  restart(): void {
    this.#identities = new GrowableBytes();
    this.#told = 0;
  }
}
