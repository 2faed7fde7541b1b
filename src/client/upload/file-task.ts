import { CutResolver } from '../../chunker/index.js';
import type { FileHandle } from '../../dedup/index.js';
import { isOrbweaverError, OrbweaverError } from '../../errors.js';
import { Deferred } from '../../flow/index.js';
import type { Sha256Stream, Source } from '../ports.js';
import type { FileResult, OnChunks } from './types.js';

/** Which SHA-256 a file gets. */
export type Sha256Plan =
  | { readonly kind: 'none' }
  | { readonly kind: 'compute' }
  | { readonly kind: 'given'; readonly digest: Uint8Array };

/** Called once, when the file has a result or an error. */
export type OnSettled = (file: FileTask) => void;

/** One file on its way through a lane. Dropped when it has settled: there may be very many. */
export class FileTask {
  readonly number: number;
  readonly source: Source;
  readonly sha256: Sha256Plan;
  readonly resolver: CutResolver = new CutResolver();
  /** The SHA-256, when it is known without a stream: given, or of a file inside one slab. */
  digest: Uint8Array | null = null;
  /** Running SHA-256, made with the first bytes. */
  sha256Stream: Sha256Stream | null = null;
  /** Told of its chunks when they are placed. */
  onChunks: OnChunks | null = null;
  /** Set by the first placed batch. */
  handle: FileHandle | null = null;
  /** Bytes read so far. */
  readBytes = 0;
  /** Bytes whose chunks the server has been asked about, as far as that was worth it. */
  askedBytes = 0;
  /** Its batches are placed only when the server was asked about what follows them. */
  looksAhead = false;
  /** The reason why it failed; work on its bytes that is still queued is skipped. */
  error: Error | null = null;
  /** The source has confirmed its end and is closed. */
  isRead = false;
  /** Its number among the finished files of the dedup session. */
  finishedNumber = -1;
  /** While it is being read: stops that at once. */
  stopReading: ((error: Error) => void) | null = null;

  /** Makes its result, when somebody wants it. */
  #result: (() => FileResult) | null = null;
  /** Made when somebody waits: small files come in thousands, and are done before anybody could. */
  #done: Deferred<FileResult> | null = null;
  #reading: Deferred<void> | null = null;
  readonly #onSettled: OnSettled;

  /** `number` is its place among the files of the session. */
  constructor(number: number, source: Source, sha256: Sha256Plan, onSettled: OnSettled) {
    this.number = number;
    this.source = source;
    this.sha256 = sha256;
    if (sha256.kind === 'given') this.digest = sha256.digest;
    this.#onSettled = onSettled;
  }

  /** It has a result or an error. */
  get isSettled(): boolean {
    return this.#result !== null || this.error !== null;
  }

  /** The source has confirmed its end and is closed. */
  readToEnd(): void {
    this.isRead = true;
    this.#reading?.resolve();
  }

  /** Resolves with {@link readToEnd}; rejects when the file fails. */
  whenRead(): Promise<void> {
    if (this.#reading === null) {
      this.#reading = new Deferred();
      if (this.isRead) this.#reading.resolve();
      else if (this.error !== null) this.#reading.reject(this.error);
    }
    return this.#reading.promise;
  }

  /** Settles when every byte has its place, or when the file failed. */
  whenDone(): Promise<FileResult> {
    if (this.#done === null) {
      this.#done = new Deferred();
      if (this.#result !== null) this.#done.resolve(this.#result());
      else if (this.error !== null) this.#done.reject(this.error);
    }
    return this.#done.promise;
  }

  /** All is done: nothing can fail any more. */
  finish(result: () => FileResult): void {
    this.#result = result;
    this.#onSettled(this);
    this.#done?.resolve(result());
  }

  /** Marks the file as failed, and stops reading it; the first reason stays. */
  fail(thrown: unknown): void {
    if (this.isSettled) return;
    const error = thrown instanceof Error ? thrown : notAnError(thrown);
    this.error = error;
    this.sha256Stream?.dispose();
    this.#onSettled(this);
    this.#reading?.reject(error);
    this.#done?.reject(error);
    this.stopReading?.(error);
  }
}

/** A failure to read as one of ours, with the name of the file. */
export function sourceError({ source: { name } }: FileTask, error: unknown): Error {
  if (isOrbweaverError(error)) return error;
  const reason = error instanceof Error ? error.message : String(error);
  return new OrbweaverError('INPUT_UNREADABLE', `"${name}" failed: ${reason}`, { name }, error);
}

function notAnError(thrown: unknown): Error {
  return new OrbweaverError('INTERNAL', `something was thrown that is no error: ${thrown}`);
}
