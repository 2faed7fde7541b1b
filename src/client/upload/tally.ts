import { callListener } from '../listener.js';
import type { FileTask } from './file-task.js';
import type { UploadProgress } from './types.js';

/** Counts what a session did, and tells the listener. */
export class Tally {
  fileCount = 0;
  doneFileCount = 0;
  readBytes = 0;
  skippedBytes = 0;
  /** The file that was read last. */
  #file: FileTask | null = null;
  newBytes = 0;
  dedupedBytes = 0;
  sentBytes = 0;
  toSendBytes = 0;
  xorbCount = 0;
  xorbBytes = 0;
  knownXorbCount = 0;
  phase: UploadProgress['phase'] = 'data';
  /** What the first listener to fail threw. */
  listenerError: Error | null = null;
  /** Bytes of the files whose size is known, and how many are of unknown size and unread. */
  #knownBytes = 0;
  #unknownCount = 0;
  #listener: ((progress: UploadProgress) => void) | undefined;

  constructor(listener: ((progress: UploadProgress) => void) | undefined) {
    this.#listener = listener;
  }

  added(file: FileTask): void {
    this.fileCount++;
    if (file.source.sizeBytes === undefined) this.#unknownCount++;
    else this.#knownBytes += file.source.sizeBytes;
    this.tell();
  }

  read(file: FileTask, bytes: number): void {
    this.readBytes += bytes;
    this.#file = file;
    this.tell();
  }

  /** A stream has ended: now its size is known. */
  ended(file: FileTask): void {
    if (file.source.sizeBytes !== undefined) return;
    this.#unknownCount--;
    this.#knownBytes += file.readBytes;
  }

  /** A file that need not be read. */
  skipped(bytes: number): void {
    this.fileCount++;
    this.#knownBytes += bytes;
    this.skippedBytes += bytes;
    this.dedupedBytes += bytes;
    this.done();
  }

  done(): void {
    this.doneFileCount++;
    this.tell();
  }

  tell(): void {
    const listener = this.#listener;
    if (listener === undefined) return;
    const file = this.#file;
    const progress: UploadProgress = {
      fileCount: this.fileCount,
      doneFileCount: this.doneFileCount,
      readBytes: this.readBytes,
      skippedBytes: this.skippedBytes,
      totalBytes: this.#unknownCount > 0 ? undefined : this.#knownBytes,
      newBytes: this.newBytes,
      dedupedBytes: this.dedupedBytes,
      sentBytes: this.sentBytes,
      toSendBytes: this.toSendBytes,
      phase: this.phase,
      file: file && {
        name: file.source.name,
        readBytes: file.readBytes,
        sizeBytes: file.source.sizeBytes,
      },
    };
    this.call(
      () => listener(progress),
      () => {
        this.#listener = undefined;
      },
    );
  }

  /** Calls a listener. What it throws is no failure of the upload: it is kept for the summary. */
  call(listener: () => unknown, onError?: () => void): void {
    callListener(listener, (error) => {
      this.listenerError ??= error;
      onError?.();
    });
  }
}
