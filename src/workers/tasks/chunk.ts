import { withRoom } from '../../bytes/index.js';
import { chunkBound, DEFAULT_PARAMS, findCertainCut } from '../../chunker/index.js';
import type { SlabSegment } from '../../client/ports.js';
import { DATA_KEY, HASH_BYTES } from '../../hash/index.js';
import type { ChunkReply, ChunkTask } from '../messages.js';
import type { TaskContext } from './context.js';
import { cutChunks } from './cut-chunks.js';

/**
 * Cuts every segment and hashes its chunks. A segment that starts inside a file is cut from the first
 * position on where it is certain that a chunk starts; what comes before is left to the caller.
 */
export function runChunk(context: TaskContext, task: ChunkTask): ChunkReply {
  const bytes = context.bytesOf(task.slab);
  const { segments } = task;
  const bound = segments.reduce((sum, each) => sum + chunkBound(each.end - each.start), 0);
  const out: Lists = {
    candidates: new Uint32Array(bound),
    candidateCount: 0,
    hashes: new Uint8Array(HASH_BYTES * bound),
    hashCount: 0,
  };
  const candidateEnds = new Uint32Array(segments.length);
  const hashEnds = new Uint32Array(segments.length);
  const certainStarts = new Uint32Array(segments.length);
  const sha256 = new Uint8Array(HASH_BYTES * segments.length);
  segments.forEach((segment, i) => {
    certainStarts[i] = chunkSegment(context, bytes, segment, out);
    candidateEnds[i] = out.candidateCount;
    hashEnds[i] = out.hashCount;
    if (segment.sha256) {
      const hash = context.createSha256();
      hash.update(bytes.subarray(segment.start, segment.end));
      sha256.set(hash.digest(), HASH_BYTES * i);
    }
  });
  const hashes = out.hashes.slice(0, HASH_BYTES * out.hashCount);
  const candidates = out.candidates.slice(0, out.candidateCount);
  return { candidates, candidateEnds, certainStarts, hashes, hashEnds, sha256 };
}

interface Lists {
  candidates: Uint32Array<ArrayBuffer>;
  candidateCount: number;
  /** Room for those of all segments. */
  readonly hashes: Uint8Array<ArrayBuffer>;
  hashCount: number;
}

/** Returns where the certain chunks start. */
function chunkSegment(
  { kernels }: TaskContext,
  bytes: Uint8Array,
  segment: SlabSegment,
  out: Lists,
): number {
  const { start, end, fileStart, isFirst, isLast } = segment;
  const bound = chunkBound(end - start);
  let certainStart = start;
  makeRoom(out, bound);
  if (!isFirst) {
    // A segment is scanned as if its file began at `fileStart`: nothing of a neighbour in the slab
    // reaches the window. (Behind a chunk's start nothing can.) Positions count from there here.
    const data = bytes.subarray(fileStart, end);
    const from = start - fileStart;
    const { candidates, position } = findCertainCut(kernels.scanner, data, from, data.length);
    makeRoom(out, candidates.length + bound);
    for (const candidate of candidates) {
      out.candidates[out.candidateCount++] = candidate + fileStart;
    }
    if (position === null) return end;
    certainStart = position + fileStart;
  }
  const count = cutChunks(kernels, DATA_KEY, {
    data: bytes,
    start: certainStart,
    end,
    isLast,
    params: DEFAULT_PARAMS,
    ends: out.candidates.subarray(out.candidateCount),
    hashes: out.hashes.subarray(HASH_BYTES * out.hashCount),
  });
  // The end of a file is no candidate: whoever joins the segments knows it.
  out.candidateCount += isLast && count > 0 ? count - 1 : count;
  out.hashCount += count;
  return certainStart;
}

/** Room for `count` more candidates; crafted data has one every few bytes. */
function makeRoom(out: Lists, count: number): void {
  out.candidates = withRoom(out.candidates, out.candidateCount + count, out.candidateCount);
}
