import { DEFAULT_PARAMS, GEAR_WINDOW_BYTES } from '../../chunker/index.js';
import { OrbweaverError } from '../../errors.js';
import type { ComputePool, Slab, SourceReader } from '../ports.js';
import { Batch, type Segment } from './batch.js';
import type { CancelScope } from './cancel.js';
import { sourceError } from './file-error.js';
import type { FileTask } from './file-task.js';
import type { UploadSizes } from './sizes.js';

/** A file joins the slab of the one before it when at least this much is free. */
const JOIN_MIN_BYTES = DEFAULT_PARAMS.maxBytes;

/** What a lane needs of its session. */
export interface LaneHost {
  readonly pool: ComputePool;
  readonly sizes: UploadSizes;
  readonly scope: CancelScope;
  /** Takes over a full batch; resolves when there is room for work on the next one. */
  submit(lane: Lane, batch: Batch): Promise<void>;
  onRead(file: FileTask, bytes: number): void;
}

/**
 * Reads one source after another, straight into slabs. A big file fills slab after slab; small ones
 * that come one after another share them. While the workers have slab k, the lane reads slab k + 1.
 */
export class Lane {
  readonly #host: LaneHost;
  /** The slab being filled; null between slabs. */
  #batch: Batch | null = null;
  /** The last bytes read of a file that goes on in the next slab. */
  readonly #warm: Uint8Array = new Uint8Array(GEAR_WINDOW_BYTES - 1);
  #warmBytes = 0;
  readonly #probe: Uint8Array = new Uint8Array(1);
  /** The unfinished chunk between two batches; used by the stages, which run in order. */
  readonly tail: Uint8Array = new Uint8Array(DEFAULT_PARAMS.maxBytes);
  /** The batch submitted last: stages of the next one follow it. */
  previous: Batch | null = null;
  /** Settles when the questions asked so far have been answered, or took too long. */
  answers: Promise<void> = Promise.resolve();

  constructor(host: LaneHost) {
    this.#host = host;
  }

  /** Bytes of the slab being filled that are spoken for. */
  get fill(): number {
    return this.#batch?.fill ?? 0;
  }

  /** Reads a whole small file into the slab at hand; false when that cannot be. Never throws. */
  readNow(file: FileTask): boolean {
    const { source } = file;
    const batch = this.#batch;
    if (batch === null || source.readNow === undefined || source.sizeBytes === undefined) {
      return false;
    }
    // One byte more, to see that nothing follows.
    if (source.sizeBytes >= batch.freeBytes || !this.#joins(batch, source.sizeBytes)) return false;
    try {
      const end = batch.fill + source.sizeBytes;
      if (!source.readNow(batch.slab.bytes.subarray(batch.fill, end + 1))) return false;
      const segment = batch.open(file, 0);
      batch.fill = end;
      file.readBytes = source.sizeBytes;
      batch.seal(segment, true);
      this.#host.onRead(file, source.sizeBytes);
      file.readToEnd();
    } catch (error) {
      file.fail(sourceError(file, error));
    }
    return true;
  }

  /** Reads a whole file. Never rejects: a failure is the file's. */
  async read(file: FileTask): Promise<void> {
    const { scope } = this.#host;
    if (file.source.readNow !== undefined) {
      try {
        await this.#joinable(file.source.sizeBytes);
      } catch (error) {
        file.fail(sourceError(file, error));
        return;
      }
      if (this.readNow(file)) return;
    }
    const child = scope.child();
    let reader: SourceReader | null = null;
    try {
      const opening = file.source.open(child.signal);
      reader = await scope.abortable(opening).catch((error: unknown) => {
        // It may still open: then close it at once.
        void opening.then(
          (late) => late.close(),
          () => undefined,
        );
        throw error;
      });
      await this.#readAll(file, reader);
      await scope.abortable(reader.close());
      reader = null;
      file.readToEnd();
    } catch (error) {
      file.fail(sourceError(file, error));
      if (reader !== null) void reader.close().catch(() => undefined);
    } finally {
      child.end();
    }
  }

  /** Hands over what is in the slab, because no other file comes to share it. */
  async flush(): Promise<void> {
    const batch = this.#batch;
    if (batch === null) return;
    this.#batch = null;
    if (batch.segments.length === 0) batch.slab.release();
    else await this.#host.submit(this, batch);
  }

  /** Gives back the slab being filled, unread. */
  drop(): void {
    this.#batch?.slab.release();
    this.#batch = null;
  }

  async #readAll(file: FileTask, reader: SourceReader): Promise<void> {
    const expected = file.source.sizeBytes;
    const { pool, sizes } = this.#host;
    // Its thread starts while the first bytes are read. What fits into one slab needs none.
    if (file.sha256.kind === 'compute' && expected !== undefined && expected >= sizes.slabBytes) {
      file.sha256Stream = pool.createSha256();
    }
    let batch = await this.#joinable(expected);
    let segment = batch.open(file, 0);
    for (;;) {
      if (expected !== undefined && file.readBytes === expected) break;
      if (batch.freeBytes === 0) {
        batch.seal(segment, false);
        batch = await this.#next(batch, segment);
        segment = batch.open(file, this.#warmBytes);
      }
      const want =
        expected === undefined
          ? batch.freeBytes
          : Math.min(batch.freeBytes, expected - file.readBytes);
      const count = await this.#readInto(reader, batch, want);
      if (count === 0) break;
      batch.fill += count;
      file.readBytes += count;
      this.#host.onRead(file, count);
    }
    batch.seal(segment, true);
    if (expected === undefined) return;
    // The end must be where it was promised.
    const more =
      file.readBytes < expected ? 0 : await this.#host.scope.abortable(reader.read(this.#probe));
    if (more > 0 || file.readBytes < expected) {
      const found = more > 0 ? `more than ${expected}` : `${file.readBytes}`;
      throw new OrbweaverError(
        'INPUT_CHANGED',
        `"${file.source.name}" expected ${expected} bytes, got ${found}`,
        { name: file.source.name, expected, found: file.readBytes + more },
      );
    }
  }

  /** The slab of the file before when this one fits into it, else a new one. */
  async #joinable(sizeBytes: number | undefined): Promise<Batch> {
    const batch = this.#batch;
    if (batch !== null) {
      // A stream may take its time: nobody else's bytes wait for it in the same slab.
      if (sizeBytes !== undefined && this.#joins(batch, sizeBytes)) return batch;
      await this.flush();
    }
    return this.#acquire();
  }

  #joins(batch: Batch, sizeBytes: number): boolean {
    return batch.freeBytes >= JOIN_MIN_BYTES && batch.fits(sizeBytes);
  }

  /** Hands over a full slab whose last file goes on, and gets the next. */
  async #next(batch: Batch, segment: Segment): Promise<Batch> {
    // The Gear window of the next slab reaches back this far, but not into another file.
    this.#warmBytes = Math.min(this.#warm.length, segment.end - segment.warmStart);
    this.#warm.set(batch.slab.bytes.subarray(segment.end - this.#warmBytes, segment.end));
    this.#batch = null;
    await this.#host.submit(this, batch);
    const next = await this.#acquire();
    next.slab.bytes.set(this.#warm.subarray(0, this.#warmBytes), next.fill - this.#warmBytes);
    return next;
  }

  async #acquire(): Promise<Batch> {
    const { pool, sizes, scope } = this.#host;
    const child = scope.child();
    const [slab] = (await pool.acquire(1, child.signal).finally(child.end)) as [Slab];
    this.#batch = new Batch(slab, sizes);
    return this.#batch;
  }

  async #readInto(reader: SourceReader, batch: Batch, want: number): Promise<number> {
    const { scope } = this.#host;
    const into = batch.slab.bytes.subarray(batch.fill, batch.fill + want);
    const reading = reader.read(into);
    let count: number;
    try {
      count = await scope.abortable(reading);
    } catch (error) {
      if (scope.aborted) this.#abandon(batch, reader, reading);
      throw error;
    }
    if (!(Number.isSafeInteger(count) && count >= 0 && count <= want)) {
      throw new RangeError(`"read" expected 0 to ${want} bytes, got ${count}`);
    }
    return count;
  }

  /** The slab of a read that was cancelled is free when nothing writes to it any more. */
  #abandon(batch: Batch, reader: SourceReader, reading: Promise<number>): void {
    if (this.#batch === batch) this.#batch = null;
    const closing = reader.close();
    const quiet = (promise: Promise<unknown>): Promise<unknown> => promise.catch(() => undefined);
    void Promise.race([quiet(reading), quiet(closing)]).then(() => batch.slab.release());
  }
}
