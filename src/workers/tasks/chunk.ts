import { DEFAULT_PARAMS, findCertainCut, nextCut } from '../../chunker/index.js';
import type { SlabSegment } from '../../client/ports.js';
import { DATA_KEY, HASH_BYTES } from '../../hash/index.js';
import { createSha256 } from '../../kernels/index.js';
import type { ChunkReply, ChunkTask } from '../messages.js';
import type { TaskContext } from './context.js';

/**
 * Chunks are hashed in runs of this many bytes: long enough that a call costs nothing against it, and
 * short enough that the bytes that the scan has just read are still in the core's cache.
 */
const RUN_BYTES = 256 * 1024;

/**
 * Cuts every segment and hashes its chunks. A segment that starts inside a file is cut from the first
 * position on where it is certain that a chunk starts; what comes before is left to the caller.
 */
export function runChunk(context: TaskContext, task: ChunkTask): ChunkReply {
  const bytes = context.bytesOf(task.slab);
  const { segments } = task;
  const out: Lists = {
    candidates: [],
    hashes: new Uint8Array(HASH_BYTES * segments.reduce((sum, each) => sum + chunkBound(each), 0)),
    hashCount: 0,
  };
  const candidateEnds = new Uint32Array(segments.length);
  const hashEnds = new Uint32Array(segments.length);
  const certainStarts = new Uint32Array(segments.length);
  const sha256 = new Uint8Array(HASH_BYTES * segments.length);
  segments.forEach((segment, i) => {
    certainStarts[i] = chunkSegment(context, bytes, segment, out);
    candidateEnds[i] = out.candidates.length;
    hashEnds[i] = out.hashCount;
    if (segment.sha256) {
      const hash = createSha256();
      hash.update(bytes.subarray(segment.start, segment.end));
      sha256.set(hash.digest(), HASH_BYTES * i);
    }
  });
  const hashes = out.hashes.slice(0, HASH_BYTES * out.hashCount);
  const candidates = Uint32Array.from(out.candidates);
  return { candidates, candidateEnds, certainStarts, hashes, hashEnds, sha256 };
}

interface Lists {
  readonly candidates: number[];
  /** Room for those of all segments. */
  readonly hashes: Uint8Array<ArrayBuffer>;
  hashCount: number;
}

/** No more chunks than this lie in a segment: all but the last have the minimum. */
function chunkBound({ start, end }: SlabSegment): number {
  return Math.floor((end - start) / DEFAULT_PARAMS.minBytes) + 1;
}

/** Returns where the certain chunks start. */
function chunkSegment(
  context: TaskContext,
  bytes: Uint8Array,
  { start, end, fileStart, isFirst, isLast }: SlabSegment,
  out: Lists,
): number {
  const { scanner, hasher } = context.kernels;
  // A segment is scanned as if its file began at `fileStart`: nothing of a neighbour in the slab
  // reaches the window. Positions count from there inside `data`, from the slab outside.
  const data = bytes.subarray(fileStart, end);
  let chunkStart = start - fileStart;
  if (!isFirst) {
    const { candidates, position } = findCertainCut(scanner, data, chunkStart, data.length);
    for (const candidate of candidates) out.candidates.push(candidate + fileStart);
    if (position === null) return end;
    chunkStart = position;
  }
  const certainStart = chunkStart + fileStart;
  let runStart = chunkStart;
  const ends: number[] = [];
  const hashRun = (): void => {
    const list = Uint32Array.from(ends);
    const offset = HASH_BYTES * out.hashCount;
    hasher.keyedMany(DATA_KEY, data, runStart, list, ends.length, out.hashes, offset);
    out.hashCount += ends.length;
    ends.length = 0;
    runStart = chunkStart;
  };
  while (chunkStart < data.length) {
    const cut = nextCut(scanner, data, chunkStart);
    if (cut !== null) out.candidates.push(cut + fileStart);
    else if (!isLast) break;
    chunkStart = cut ?? data.length;
    ends.push(chunkStart);
    if (chunkStart - runStart >= RUN_BYTES) hashRun();
  }
  if (ends.length > 0) hashRun();
  return certainStart;
}
