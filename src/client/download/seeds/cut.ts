import { CutResolver } from '../../../chunker/index.js';
import { OrbweaverError } from '../../../errors.js';
import { ordered, type Reservation, type Scope } from '../../../flow/index.js';
import { createMerkleTree, HASH_BYTES, type Hasher, type MerkleHash } from '../../../hash/index.js';
import type { ComputePool, RandomAccess, SegmentChunks, Slab } from '../../ports.js';
import { piecesOf, startsOf } from '../held.js';
import { takeSlab } from './slabs.js';

/** A local file that may hold chunks of the file that is wanted, cut and hashed. */
export interface Seed {
  readonly access: RandomAccess;
  /** Offset of each chunk, and the end of the last one. */
  readonly starts: Float64Array;
  readonly lengths: Uint32Array;
  /** 32 bytes each. */
  readonly hashes: Uint8Array;
  /** Null: only a beginning was cut. */
  readonly fileHash: MerkleHash | null;
}

/** Memory for each chunk, with the table that finds it by its hash. */
export const SEED_BYTES_PER_CHUNK: number = 2 * HASH_BYTES + 24;

/** Before the data of a segment: what the rolling hash looks back at. */
const WARM_BYTES = 64;

/** What seeds are cut with. */
export interface CutOptions {
  readonly pool: ComputePool;
  readonly hasher: Hasher;
  readonly scope: Scope;
  /** Grows with the chunks; where it cannot, the rest of the file is left out. */
  readonly memory: Reservation;
  /** Most bytes of memory for all seeds. */
  readonly maxBytes: number;
  /** So many bytes of the file are cut. */
  readonly onCut: (bytes: number) => void;
}

/** A slab full of a seed. */
interface Segment {
  readonly slab: Slab;
  readonly offset: number;
  readonly sizeBytes: number;
  readonly isLast: boolean;
}

/**
 * Cuts and hashes a file, in all threads.
 * @throws OrbweaverError what reading throws (`INPUT_CHANGED` for a file that becomes shorter), `ABORTED`
 */
export async function cutSeed(access: RandomAccess, options: CutOptions): Promise<Seed> {
  const { pool, hasher } = options;
  const scope = options.scope.child();
  const resolver = new CutResolver();
  const found: { readonly lengths: Uint32Array; readonly hashes: Uint8Array }[] = [];
  let chunkCount = 0;
  let isFull = false;
  pool.expectBytes?.(access.sizeBytes);
  const cutting = ordered<Segment, SegmentChunks>({
    scope,
    limit: Math.max(1, Math.min(pool.slabCount - 1, pool.threads + 1)),
    run: async ({ slab, offset, sizeBytes, isLast }) => {
      const warmBytes = Math.min(offset, WARM_BYTES - 1);
      const segment = {
        start: WARM_BYTES,
        end: WARM_BYTES + sizeBytes,
        fileStart: WARM_BYTES - warmBytes,
        isFirst: offset === 0,
        isLast,
        sha256: false,
      };
      try {
        return (await pool.chunk(slab, [segment]))[0] as SegmentChunks;
      } finally {
        slab.release();
      }
    },
    commit: async ({ candidates, hashes }, { offset, sizeBytes, isLast }) => {
      const first = resolver.chunkStart;
      const base = offset - WARM_BYTES;
      const cuts = resolver.resolve(offset, offset + sizeBytes, candidates, base, isLast);
      const lengths = Uint32Array.from(cuts, (cut, i) => cut - (cuts[i - 1] ?? first));
      const seamCount = lengths.length - hashes.length / HASH_BYTES;
      if (seamCount < 0)
        throw new OrbweaverError('INTERNAL', `"${access.name}": its cuts do not join`);
      const all = new Uint8Array(HASH_BYTES * lengths.length);
      all.set(hashes, HASH_BYTES * seamCount);
      all.set(await hashSeams(access, options, first, lengths.subarray(0, seamCount)));
      found.push({ lengths, hashes: all });
      chunkCount += lengths.length;
      const { memory, maxBytes } = options;
      const neededBytes = memory.bytes + SEED_BYTES_PER_CHUNK * lengths.length;
      if (neededBytes > maxBytes || !memory.resize(neededBytes)) isFull = true;
      options.onCut(offset + sizeBytes);
    },
  });
  await scope.run(async () => {
    const segmentBytes = pool.slabBytes - WARM_BYTES;
    for (let offset = 0; offset < access.sizeBytes && !isFull; offset += segmentBytes) {
      const sizeBytes = Math.min(segmentBytes, access.sizeBytes - offset);
      const warmBytes = Math.min(offset, WARM_BYTES - 1);
      const slab = await takeSlab(pool, scope);
      try {
        const into = slab.bytes.subarray(WARM_BYTES - warmBytes, WARM_BYTES + sizeBytes);
        await readInto(access, { scope, slab, into, offset: offset - warmBytes });
        const isLast = offset + sizeBytes === access.sizeBytes;
        await cutting.push({ slab, offset, sizeBytes, isLast });
      } catch (error) {
        slab.release();
        throw error;
      }
    }
    await cutting.drain();
  });
  const lengths = new Uint32Array(chunkCount);
  const hashes = new Uint8Array(HASH_BYTES * chunkCount);
  const starts = new Float64Array(chunkCount + 1);
  const tree = createMerkleTree(hasher);
  let at = 0;
  for (const part of found) {
    lengths.set(part.lengths, at);
    hashes.set(part.hashes, HASH_BYTES * at);
    at += part.lengths.length;
  }
  for (const [i, length] of lengths.entries()) {
    starts[i + 1] = (starts[i] as number) + length;
    tree.push(hashes, HASH_BYTES * i, length);
  }
  const isWhole = starts[chunkCount] === access.sizeBytes;
  return { access, starts, lengths, hashes, fileHash: isWhole ? tree.fileHash() : null };
}

/** Hashes of chunks that lie over the start of a segment, or were not certain in it. */
async function hashSeams(
  access: RandomAccess,
  { pool, scope }: CutOptions,
  offset: number,
  lengths: Uint32Array,
): Promise<Uint8Array> {
  const hashes = new Uint8Array(HASH_BYTES * lengths.length);
  let done = 0;
  for (const piece of piecesOf({ offset, lengths, hashes }, pool.slabBytes)) {
    const slab = await takeSlab(pool, scope);
    try {
      const sizeBytes = piece.lengths.reduce((sum, length) => sum + length, 0);
      const into = slab.bytes.subarray(0, sizeBytes);
      await readInto(access, { scope, slab, into, offset: piece.offset });
      const found = await pool.hash(slab, startsOf(piece.lengths), piece.lengths);
      hashes.set(found, HASH_BYTES * done);
      done += piece.lengths.length;
    } finally {
      slab.release();
    }
  }
  return hashes;
}

/** Reads while the scope lives; the slab stays until the read has settled. */
export async function readInto(
  access: RandomAccess,
  { scope, slab, into, offset }: { scope: Scope; slab: Slab; into: Uint8Array; offset: number },
): Promise<void> {
  const reading = access.readAt(into, offset);
  const done = slab.borrow();
  reading.then(done, done);
  await scope.race(reading);
}
