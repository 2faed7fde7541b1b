import { DEFAULT_PARAMS, GEAR_WINDOW_BYTES } from '../../chunker/index.js';
import { OrbweaverError } from '../../errors.js';
import type { Scope } from '../../flow/index.js';
import type { ComputePool, Slab, SourceReader } from '../ports.js';
import { Batch, type Segment } from './batch.js';
import { type FileTask, sourceError } from './file-task.js';
import type { UploadSizes } from './sizes.js';

/** A file joins the slab of the one before it when at least this much is free. */
const JOIN_MIN_BYTES = DEFAULT_PARAMS.maxBytes;

/** What a lane needs of its session. */
export interface LaneHost {
  readonly pool: ComputePool;
  readonly sizes: UploadSizes;
  readonly scope: Scope;
  onRead(file: FileTask, bytes: number): void;
  /** The pool gives no memory any more: nothing can go on. */
  onFatal(error: unknown): void;
}

/**
 * Reads one source after another, straight into slabs. A big file fills slab after slab; small ones
 * that come one after another share them. While the workers have slab k, the lane reads slab k + 1.
 */
export class Lane {
  readonly #host: LaneHost;
  /** Takes over a full batch; resolves when there is memory for work on the next one. */
  readonly #submit: (batch: Batch) => Promise<void>;
  /** The slab being filled; null between slabs. */
  #batch: Batch | null = null;
  /** The last bytes read of a file that goes on in the next slab. */
  readonly #warm: Uint8Array = new Uint8Array(GEAR_WINDOW_BYTES - 1);
  #warmBytes = 0;
  readonly #probe: Uint8Array = new Uint8Array(1);

  constructor(host: LaneHost, submit: (batch: Batch) => Promise<void>) {
    this.#host = host;
    this.#submit = submit;
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
    const end = batch.fill + source.sizeBytes;
    try {
      if (!source.readNow(batch.bytes.subarray(batch.fill, end + 1))) return false;
    } catch (error) {
      file.fail(sourceError(file, error));
      return true;
    }
    const segment = batch.open(file, 0);
    batch.fill = end;
    file.readBytes = source.sizeBytes;
    batch.seal(segment, true);
    this.#host.onRead(file, source.sizeBytes);
    file.readToEnd();
    return true;
  }

  /**
   * Reads a whole file. Never rejects: a failure is the file's. A file that fails for another reason
   * meanwhile (a slab of it could not be hashed) is not read any further.
   */
  async read(file: FileTask): Promise<void> {
    const scope = this.#host.scope.child({ what: `reading "${file.source.name}"` });
    file.stopReading = (error) => scope.end(error);
    try {
      const now = file.source.readNow !== undefined;
      if (now) await this.#joinable(file.source.sizeBytes);
      if (!now || !this.readNow(file)) await this.#readOpened(file, scope);
    } catch (error) {
      file.fail(this.#host.scope.ended ? this.#host.scope.reason : sourceError(file, error));
    } finally {
      file.stopReading = null;
      scope.close();
    }
  }

  /** Hands over what is in the slab, because no other file comes to share it. */
  async flush(): Promise<void> {
    const batch = this.#batch;
    if (batch === null) return;
    this.#batch = null;
    if (batch.segments.length === 0) batch.release();
    else await this.#submit(batch);
  }

  /** Gives back the slab being filled, unread. */
  drop(): void {
    this.#batch?.release();
    this.#batch = null;
  }

  async #readOpened(file: FileTask, scope: Scope): Promise<void> {
    const reader = await scope.obtain(
      (signal) => file.source.open(signal),
      (late) => void late.close().catch(() => undefined),
    );
    try {
      await this.#readAll(file, reader, scope);
    } catch (error) {
      reader.close().catch(() => undefined);
      throw error;
    }
    await scope.race(reader.close());
    file.readToEnd();
  }

  async #readAll(file: FileTask, reader: SourceReader, scope: Scope): Promise<void> {
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
      const left = expected === undefined ? batch.freeBytes : expected - file.readBytes;
      const into = batch.bytes.subarray(batch.fill, batch.fill + Math.min(batch.freeBytes, left));
      const count = await this.#readInto(into, batch, reader, scope);
      if (count === 0) break;
      batch.fill += count;
      file.readBytes += count;
      this.#host.onRead(file, count);
    }
    batch.seal(segment, true);
    if (expected === undefined) return;
    // The end must be where it was promised.
    const short = file.readBytes < expected;
    const more = short ? 0 : await scope.race(reader.read(this.#probe));
    if (more === 0 && !short) return;
    const found = more > 0 ? `more than ${expected}` : `${file.readBytes}`;
    throw new OrbweaverError(
      'INPUT_CHANGED',
      `"${file.source.name}" expected ${expected} bytes, got ${found}`,
      { name: file.source.name, expected, found: file.readBytes + more },
    );
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
    this.#warm.set(batch.bytes.subarray(segment.end - this.#warmBytes, segment.end));
    await this.flush();
    const next = await this.#acquire();
    next.bytes.set(this.#warm.subarray(0, this.#warmBytes), next.fill - this.#warmBytes);
    return next;
  }

  async #acquire(): Promise<Batch> {
    const { pool, sizes, scope, onFatal } = this.#host;
    let slab: Slab;
    try {
      [slab] = (await scope.obtain(
        (signal) => pool.acquire(1, signal),
        ([late]) => late?.release(),
      )) as [Slab];
    } catch (error) {
      onFatal(error);
      throw error;
    }
    this.#batch = new Batch(slab, sizes);
    return this.#batch;
  }

  /** The reader has the memory until it has settled, whatever becomes of the batch. */
  async #readInto(
    into: Uint8Array,
    batch: Batch,
    reader: SourceReader,
    scope: Scope,
  ): Promise<number> {
    scope.check();
    const end = batch.borrow();
    const reading = reader.read(into);
    reading.then(end, end);
    let count: number;
    try {
      count = await scope.race(reading);
    } catch (error) {
      // It may still write behind the fill mark: nobody else's bytes may get there. Other files in the
      // slab are complete, and go on.
      if (scope.ended) await this.flush();
      throw error;
    }
    if (!(Number.isSafeInteger(count) && count >= 0 && count <= into.length)) {
      throw new RangeError(`"read" expected 0 to ${into.length} bytes, got ${count}`);
    }
    return count;
  }
}
