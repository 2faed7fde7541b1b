import type { Clock, Scope } from '../../flow/index.js';
import { callListener } from '../listener.js';
import { type Pace, Teller } from '../teller.js';
import type { FileTask } from './file-task.js';
import type { UploadProgress } from './types.js';

/** What a {@link Tally} is made with. */
export interface TallyOptions {
  readonly clock: Clock;
  readonly scope: Scope;
  readonly listener: ((progress: UploadProgress) => void) | undefined;
  /** Nothing is sent: what has its place is done. */
  readonly dryRun: boolean;
}

/** A xorb on its way: how much of it is with the store. */
interface Sending {
  readonly rawBytes: number;
  readonly sizeBytes: number;
  sentBytes: number;
}

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
  phase: UploadProgress['phase'] = 'reading';
  finalization: UploadProgress['finalization'] = null;
  /** What the first listener to fail threw. */
  listenerError: Error | null = null;
  /** Bytes of the files whose size is known, and how many are of unknown size and unread. */
  #knownBytes = 0;
  #unknownCount = 0;
  /** Bytes of files in xorbs that are acknowledged, and in those that are on their way. */
  #storedBytes = 0;
  readonly #sending = new Map<number, Sending>();
  readonly #dryRun: boolean;
  readonly #teller: Teller<Omit<UploadProgress, keyof Pace>>;

  constructor({ clock, scope, listener, dryRun }: TallyOptions) {
    this.#dryRun = dryRun;
    this.#teller = new Teller({
      clock,
      scope,
      listener,
      onError: (error) => {
        this.listenerError ??= error;
      },
      standing: () => this.#standing(),
      doneOf: ({ doneBytes }) => doneBytes,
    });
  }

  added(file: FileTask): void {
    this.fileCount++;
    this.#expect(file);
    this.tell();
  }

  /** A file that was refused is uploaded again: so much more is to be done. */
  repeated(file: FileTask): void {
    this.#expect(file);
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

  /** A xorb of `rawBytes` of files is ready to be sent, as `sizeBytes`. */
  packed(slot: number, rawBytes: number, sizeBytes: number): void {
    this.toSendBytes += sizeBytes;
    this.#sending.set(slot, { rawBytes, sizeBytes, sentBytes: 0 });
  }

  sent(slot: number, bytes: number): void {
    this.sentBytes += bytes;
    const sending = this.#sending.get(slot);
    if (sending !== undefined) sending.sentBytes += bytes;
    this.tell();
  }

  acknowledged(slot: number): void {
    const sending = this.#sending.get(slot);
    if (sending === undefined) return;
    this.#sending.delete(slot);
    this.#storedBytes += sending.rawBytes;
    this.xorbCount++;
    this.xorbBytes += sending.sizeBytes;
    this.tell();
  }

  enter(phase: UploadProgress['phase']): void {
    this.phase = phase;
    this.finalization = null;
    this.tell();
  }

  tell(): void {
    this.#teller.tell();
  }

  /** Calls a listener. What it throws is no failure of the upload: it is kept for the summary. */
  call(listener: () => unknown, onError?: () => void): void {
    callListener(listener, (error) => {
      this.listenerError ??= error;
      onError?.();
    });
  }

  #expect({ source: { sizeBytes } }: FileTask): void {
    if (sizeBytes === undefined) this.#unknownCount++;
    else this.#knownBytes += sizeBytes;
  }

  #standing(): Omit<UploadProgress, keyof Pace> {
    const file = this.#file;
    const totalBytes = this.#unknownCount > 0 ? undefined : this.#knownBytes;
    return {
      phase: this.phase,
      // Files that failed have left chunks behind.
      doneBytes: Math.min(this.#doneBytes(), totalBytes ?? Number.POSITIVE_INFINITY),
      totalBytes,
      fileCount: this.fileCount,
      doneFileCount: this.doneFileCount,
      readBytes: this.readBytes,
      skippedBytes: this.skippedBytes,
      newBytes: this.newBytes,
      dedupedBytes: this.dedupedBytes,
      sentBytes: this.sentBytes,
      toSendBytes: this.toSendBytes,
      finalization: this.finalization,
      file: file && {
        name: file.source.name,
        readBytes: file.readBytes,
        sizeBytes: file.source.sizeBytes,
      },
    };
  }

  /** Reading is far ahead of sending: what is known counts at once, what is new as it gets there. */
  #doneBytes(): number {
    if (this.#dryRun) return this.dedupedBytes + this.newBytes;
    let doneBytes = this.dedupedBytes + this.#storedBytes;
    for (const { rawBytes, sizeBytes, sentBytes } of this.#sending.values()) {
      // What was handed to the system is not there yet: the last byte counts with the response.
      const share = Math.min(1, sentBytes / Math.max(1, sizeBytes));
      doneBytes += Math.min(Math.floor(rawBytes * share), Math.max(0, rawBytes - 1));
    }
    return doneBytes;
  }
}
