import { chunkBound } from '../../chunker/index.js';
import { OrbweaverError } from '../../errors.js';
import type { Reservation } from '../../flow/index.js';
import { HASH_BYTES } from '../../hash/index.js';
import type { SegmentChunks, Slab, SlabSegment } from '../ports.js';
import type { FileTask } from './file-task.js';
import type { UploadSizes } from './sizes.js';

/** A stretch of one file inside a batch. */
export interface Segment {
  readonly file: FileTask;
  /** Where its bytes lie in the slab. */
  readonly start: number;
  end: number;
  /** Position of `start` in the file. */
  readonly fileOffset: number;
  /** First byte of the same file in the slab: up to 63 bytes before `start` for the Gear window. */
  readonly warmStart: number;
  /** The file ends with this segment. */
  isLast: boolean;
  /** Its chunks are `[chunkStart, chunkEnd)` of the batch; set when the cuts are known. */
  chunkStart: number;
  chunkEnd: number;
}

/**
 * One slab full of segments, from the first read until packing takes the slab over. Everybody who only
 * reads it does so through {@link Batch.use}, and {@link Batch.take} refuses as long as somebody does: so
 * nothing is written over bytes that a thread still hashes.
 */
export class Batch {
  readonly segments: Segment[] = [];
  /** Its part of the work that may go on at once. */
  working: Reservation | null = null;
  /** Chunks of the batch, ascending; set when the cuts are known. */
  starts: Uint32Array = new Uint32Array(0);
  lengths: Uint32Array = new Uint32Array(0);
  /** Hashes of the chunks, 32 bytes each; those at {@link seams} are still missing. */
  hashes: Uint8Array = new Uint8Array(0);
  /** Chunks that could not be told before the cuts of the batch before were known. */
  seams: Uint32Array = new Uint32Array(0);
  /** Where the next byte goes. */
  fill: number;
  readonly #slab: Slab;
  readonly #uses = new Set<Promise<unknown>>();
  readonly #sizes: UploadSizes;
  /** No more chunks than this come out of the sealed segments. */
  #chunkBound = 0;

  constructor(slab: Slab, sizes: UploadSizes) {
    this.#slab = slab;
    this.#sizes = sizes;
    this.fill = sizes.dataStart;
  }

  /** The whole slab; ask again after each task. */
  get bytes(): Uint8Array {
    return this.#slab.bytes;
  }

  get freeBytes(): number {
    return this.#sizes.slabBytes - this.fill;
  }

  /** True when a whole file of `sizeBytes` fits behind what is there. */
  fits(sizeBytes: number): boolean {
    const { maxChunks } = this.#sizes;
    return sizeBytes <= this.freeBytes && this.#chunkBound + chunkBound(sizeBytes) <= maxChunks;
  }

  /** Runs a task that reads the slab, which stays what it is until that has settled. */
  use<T>(task: (slab: Slab) => Promise<T>): Promise<T> {
    const running = task(this.#slab);
    const over = (): void => {
      this.#uses.delete(running);
    };
    this.#uses.add(running);
    running.then(over, over);
    return running;
  }

  /** For somebody outside who writes into it: the memory stays until the returned function is called. */
  borrow(): () => void {
    return this.#slab.borrow();
  }

  /** Resolves when nobody reads it. Never rejects. */
  async unused(): Promise<void> {
    while (this.#uses.size > 0) await Promise.allSettled(this.#uses);
  }

  /**
   * Hands the slab over; the batch has none any more.
   * @throws OrbweaverError `INTERNAL` while it is read
   */
  take(): Slab {
    if (this.#uses.size > 0) throw new OrbweaverError('INTERNAL', 'a slab in use was taken over');
    return this.#slab.move();
  }

  /** Gives the slab back unless it was taken; tasks and borrowers that are not done keep it so long. */
  release(): void {
    this.working?.release();
    this.#slab.release();
  }

  /** Starts a segment at the fill mark. */
  open(file: FileTask, warmBytes: number): Segment {
    const segment: Segment = {
      file,
      start: this.fill,
      end: this.fill,
      fileOffset: file.readBytes,
      warmStart: this.fill - warmBytes,
      isLast: false,
      chunkStart: 0,
      chunkEnd: 0,
    };
    this.segments.push(segment);
    return segment;
  }

  /** Ends a segment at the fill mark. */
  seal(segment: Segment, isLast: boolean): void {
    segment.end = this.fill;
    segment.isLast = isLast;
    this.#chunkBound += chunkBound(segment.end - segment.start);
  }

  /** The segments as the pool sees them. */
  slabSegments(): SlabSegment[] {
    return this.segments.map(({ file, start, end, warmStart, fileOffset, isLast }) => ({
      start,
      end,
      fileStart: warmStart,
      isFirst: fileOffset === 0,
      isLast,
      sha256: file.sha256.kind === 'compute' && fileOffset === 0 && isLast,
    }));
  }

  /**
   * Joins what was found in the segments to chunks. `tail` is the unfinished chunk of the batch before
   * (for the first segment), copied in front of it here; the new unfinished chunk is copied out to it.
   */
  join(found: readonly SegmentChunks[], tail: Uint8Array): void {
    const starts: number[] = [];
    const lengths: number[] = [];
    const certain: { readonly at: number; readonly hashes: Uint8Array }[] = [];
    const seams: number[] = [];
    const { bytes } = this;
    this.segments.forEach((segment, index) => {
      segment.chunkStart = starts.length;
      segment.chunkEnd = starts.length;
      const { file, start, end, fileOffset, isLast } = segment;
      if (file.error !== null) return;
      // Position in the slab = position in the file + shift.
      const shift = start - fileOffset;
      let chunkStart = file.resolver.chunkStart;
      if (chunkStart < fileOffset) {
        bytes.set(tail.subarray(0, fileOffset - chunkStart), chunkStart + shift);
      }
      const { candidates, certainStart, hashes, sha256 } = found[index] as SegmentChunks;
      file.digest ??= sha256;
      const fileEnd = fileOffset + end - start;
      for (const cut of file.resolver.resolve(fileOffset, fileEnd, candidates, -shift, isLast)) {
        if (chunkStart + shift < certainStart) seams.push(starts.length);
        starts.push(chunkStart + shift);
        lengths.push(cut - chunkStart);
        chunkStart = cut;
      }
      segment.chunkEnd = starts.length;
      const at = segment.chunkEnd - hashes.length / HASH_BYTES;
      if (at !== firstAtOrAbove(starts, segment.chunkStart, certainStart)) {
        throw new OrbweaverError('INTERNAL', `"${file.source.name}": its cuts do not join`);
      }
      certain.push({ at, hashes });
      if (!isLast) tail.set(bytes.subarray(chunkStart + shift, end));
    });
    this.starts = Uint32Array.from(starts);
    this.lengths = Uint32Array.from(lengths);
    this.seams = Uint32Array.from(seams);
    this.hashes = new Uint8Array(HASH_BYTES * starts.length);
    for (const { at, hashes } of certain) this.hashes.set(hashes, HASH_BYTES * at);
  }
}

/** The first entry from `from` on that is `value` or more. */
function firstAtOrAbove(ascending: readonly number[], from: number, value: number): number {
  let at = from;
  while (at < ascending.length && (ascending[at] as number) < value) at++;
  return at;
}
