import { chunkBound } from '../../chunker/index.js';
import { OrbweaverError } from '../../errors.js';
import { HASH_BYTES } from '../../hash/index.js';
import type { SegmentChunks, Slab, SlabSegment } from '../ports.js';
import { Deferred } from './cancel.js';
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

/** One slab full of segments, from the first read to the last record. */
export class Batch {
  readonly slab: Slab;
  readonly segments: Segment[] = [];
  /** Cuts are known, and the unfinished chunk at the end is copied away. */
  readonly resolved: Deferred<void> = new Deferred();
  /** The server has been asked about its chunks. */
  readonly asked: Deferred<void> = new Deferred();
  /** Every chunk has its place. */
  readonly placed: Deferred<void> = new Deferred();
  /** Chunks of the batch, ascending; set when the cuts are known. */
  starts: Uint32Array = new Uint32Array(0);
  lengths: Uint32Array = new Uint32Array(0);
  /** Hashes of the chunks, 32 bytes each; those at {@link seams} are still missing. */
  hashes: Uint8Array = new Uint8Array(0);
  /** Chunks that could not be told before the cuts of the batch before were known. */
  seams: Uint32Array = new Uint32Array(0);
  /** Where the next byte goes. */
  fill: number;
  readonly #sizes: UploadSizes;
  /** No more chunks than this come out of the sealed segments. */
  #chunkBound = 0;

  constructor(slab: Slab, sizes: UploadSizes) {
    this.slab = slab;
    this.#sizes = sizes;
    this.fill = sizes.dataStart;
  }

  get freeBytes(): number {
    return this.#sizes.slabBytes - this.fill;
  }

  /** True when a whole file of `sizeBytes` fits behind what is there. */
  fits(sizeBytes: number): boolean {
    return sizeBytes <= this.freeBytes && this.#chunkBound + chunkBound(sizeBytes) <= this.#room;
  }

  get #room(): number {
    return this.#sizes.maxChunks;
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
  resolve(found: readonly SegmentChunks[], tail: Uint8Array): void {
    const starts: number[] = [];
    const lengths: number[] = [];
    const certain: { readonly at: number; readonly hashes: Uint8Array }[] = [];
    const seams: number[] = [];
    const bytes = this.slab.bytes;
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
      const { candidates, certainStart, hashes } = found[index] as SegmentChunks;
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
