import { Deferred } from '../../flow/index.js';
import type { ComputePool } from '../ports.js';
import type { Batch } from './batch.js';
import type { FileTask } from './file-task.js';
import type { UploadSizes } from './sizes.js';

interface HeldBatch {
  readonly file: FileTask;
  /** Where the batch ends in the file. */
  readonly endBytes: number;
  readonly turn: Deferred<void>;
}

/**
 * Windows after which nobody looks ahead any more: 64 MiB as a rule, the mean distance of chunks
 * that can be asked for. What is then stored again beside an old version is small against what was
 * stored already, and a long file that is new from end to end soon needs no more memory than before.
 */
const MAX_WINDOWS = 4;

/**
 * Lets hashing and asking run ahead of placing. A server can be asked for a file's first chunk and
 * for one in 1024 others: when a new version of a file begins with something new, the response comes
 * megabytes later, and all before it would be stored again. So a batch of a file that goes on is
 * held until `windowBytes` behind it have been asked for, or the file has ended, or anything of it
 * was found; after {@link MAX_WINDOWS} without a find none is held any more.
 *
 * Held batches take only memory that nobody else wants: when somebody waits for a slab, all of them
 * go on, and none is held as long as somebody waits.
 */
export class Lookahead {
  readonly #pool: Pick<ComputePool, 'waiting'>;
  readonly #windowBytes: number;
  readonly #held = new Set<HeldBatch>();

  constructor(pool: Pick<ComputePool, 'waiting'>, sizes: Pick<UploadSizes, 'lookaheadBytes'>) {
    this.#pool = pool;
    this.#windowBytes = sizes.lookaheadBytes;
  }

  /** The chunks of `batch` have been asked for, after those before it in the same file. */
  asked(batch: Batch): void {
    for (const { file, start, end, fileOffset, isLast } of batch.segments) {
      file.askedBytes = fileOffset + end - start;
      if (isLast || file.askedBytes >= MAX_WINDOWS * this.#windowBytes) file.looksAhead = false;
      else if (fileOffset === 0) file.looksAhead = true;
    }
    this.#serve();
  }

  /** Resolves when a batch that was asked for may be placed; null: at once. */
  turn(batch: Batch): Promise<void> | null {
    const last = batch.segments.at(-1);
    if (last === undefined || this.#pool.waiting > 0) return null;
    const { file } = last;
    if (!this.#waits(file, file.askedBytes)) return null;
    const held = { file, endBytes: file.askedBytes, turn: new Deferred<void>() };
    this.#held.add(held);
    // A file that fails may never get to its end.
    file.whenDone().catch(() => this.#release(held));
    return held.turn.promise;
  }

  /** Something of `file` was found: what comes next most likely is known by now, too. */
  found(file: FileTask): void {
    file.looksAhead = false;
    this.#serve();
  }

  /** Memory is wanted: everything that is held goes on. */
  releaseAll(): void {
    for (const held of this.#held) this.#release(held);
  }

  #serve(): void {
    for (const held of this.#held) {
      if (!this.#waits(held.file, held.endBytes)) this.#release(held);
    }
  }

  #waits(file: FileTask, endBytes: number): boolean {
    return file.looksAhead && file.error === null && file.askedBytes - endBytes < this.#windowBytes;
  }

  #release(held: HeldBatch): void {
    if (this.#held.delete(held)) held.turn.resolve();
  }
}
