import { type ErrorCode, isOrbweaverError, type OrbweaverError } from '../errors.js';
import type { FolderEntry } from '../folder/index.js';
import { failedFile } from './failed-file.js';
import type { FailedEntry } from './folder-types.js';

/** Failures of the server in a row, after which it is not asked for the next file any more. */
const MANY_SERVER_ERRORS = 8;

/** What can be the matter with one file while the others are well. */
const OF_ONE_FILE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'NOT_FOUND',
  'INTEGRITY',
  'SIZE_MISMATCH',
  'CHECKSUM_MISMATCH',
  'FORMAT_INVALID',
  'TRUNCATED',
  'LIMIT_EXCEEDED',
  'UNSUPPORTED',
  'PROTOCOL',
  'REJECTED',
  'SERVER_ERROR',
  'OUTPUT_UNWRITABLE',
  'STORAGE_FAILED',
]);

/** Entries of a folder that could not be restored, while the others go on. */
export class EntryFailures {
  readonly list: FailedEntry[] = [];
  readonly #isOver: () => boolean;
  #serverErrors = 0;

  /** @param isOver all of it has failed: then nothing is an entry's own failure */
  constructor(isOver: () => boolean) {
    this.#isOver = isOver;
  }

  /** Runs what concerns one entry. False: it failed, which is noted. @throws what concerns all of them */
  async attempt({ path }: FolderEntry, run: () => Promise<void>): Promise<boolean> {
    try {
      await run();
      this.#serverErrors = 0;
      return true;
    } catch (error) {
      if (this.#isOver() || !isOfOneFile(error)) throw error;
      if (error.code === 'SERVER_ERROR' && ++this.#serverErrors >= MANY_SERVER_ERRORS) throw error;
      this.list.push(failedFile(path, error));
      return false;
    }
  }
}

export function isOfOneFile(error: unknown): error is OrbweaverError {
  return isOrbweaverError(error) && OF_ONE_FILE.has(error.code);
}
