import { isOrbweaverError } from '../errors.js';
import type { FailedUpload, UploadBase } from './client-types.js';
import { failedFile } from './failed-file.js';
import type { SkippedEntry } from './folder-types.js';
import type { HubParts } from './hub-parts.js';
import type { HubProgress, HubUploadedFile, HubUploadOptions, RepoAt } from './hub-types.js';

/** What the steps of one upload to a repository share. */
export interface HubUploading {
  readonly parts: HubParts;
  readonly at: RepoAt;
  readonly options: HubUploadOptions;
  readonly signal: AbortSignal;
  readonly tally: HubTally;
}

/** What one upload to a repository has done so far; its caller is told. */
export class HubTally {
  readonly files: HubUploadedFile[] = [];
  readonly failed: FailedUpload[] = [];
  /** Left out on purpose. */
  readonly skipped: SkippedEntry[] = [];
  /** Why large files go whole although the store is wanted. */
  storeGivenUp: string | null = null;
  /** What became of each base, as the first session has it. */
  readonly bases: Map<string, UploadBase> = new Map();
  readonly #told: Pick<HubUploadOptions, 'onFile' | 'onProgress'>;
  #progress: HubProgress;
  #sentBytes = 0;

  constructor(fileCount: number, told: Pick<HubUploadOptions, 'onFile' | 'onProgress'>) {
    this.#told = told;
    this.#progress = { doneBytes: 0, totalBytes: 0, wireBytes: 0, doneFileCount: 0, fileCount };
  }

  get progress(): HubProgress {
    return this.#progress;
  }

  /** Bytes that went out. */
  get sentBytes(): number {
    return this.#sentBytes;
  }

  sent(bytes: number): void {
    this.#sentBytes += bytes;
  }

  /** Counts what goes out of one file. */
  counter(): (bytes: number) => void {
    let last = 0;
    return (bytes) => {
      const more = bytes - last;
      last = bytes;
      const { doneBytes, wireBytes } = this.#progress;
      this.tell({ doneBytes: doneBytes + more, wireBytes: wireBytes + more });
    };
  }

  done(file: Omit<HubUploadedFile, 'newBytes'> & { readonly newBytes?: number }): void {
    const done: HubUploadedFile = { newBytes: 0, ...file };
    this.files.push(done);
    this.#told.onFile?.(done);
  }

  /** @throws the error, where it is that all was cancelled */
  fail(path: string, error: unknown): void {
    if (isOrbweaverError(error) && error.code === 'ABORTED') throw error;
    this.failed.push(failedFile(path, error));
  }

  tell(change: Partial<HubProgress>): void {
    this.#progress = { ...this.#progress, ...change };
    this.#told.onProgress?.(this.#progress);
  }
}
