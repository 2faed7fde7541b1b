import { type OrderedStage, ordered } from '../../flow/index.js';
import { HASH_BYTES } from '../../hash/index.js';
import type { ChunkRun, KeptRun, SinkPart, Slab } from '../ports.js';
import type { Transfer } from './block.js';

/**
 * Chunks of the file that need not be fetched, because they lie in the unfinished output already. What
 * is said of them is a claim: the bytes are read back and hashed, and only chunks that have the hash
 * that they should have are held.
 */

/** Runs are joined up to this many chunks, some 64 MiB: as much as is read back at once for its hashes. */
const MAX_RUN_CHUNKS = 1024;

/** Chunks of one run that fit in one slab. */
interface Piece {
  readonly slab: Slab;
  readonly run: ChunkRun;
}

/**
 * Reads back what an earlier run left in the sink, and holds it against what that noted (`claims`). Chunks that
 * are damaged are not held.
 *
 * @returns ascending and apart; what lies between has to be fetched
 * @throws OrbweaverError what the sink throws, `ABORTED`
 */
export async function verifyClaims(
  transfer: Transfer,
  part: SinkPart,
  claims: readonly KeptRun[],
): Promise<KeptRun[]> {
  const { options, counters } = transfer;
  const { pool, sink } = options;
  if (claims.length === 0) {
    // There may be a part all the same: what is noted from here on has to be found by the next run.
    await transfer.scope.race(part.settle());
    return [];
  }
  const claimedBytes = claims.reduce((sum, run) => sum + run.sizeBytes, 0);
  pool.expectBytes?.(claimedBytes);
  let readBytes = 0;
  const scope = transfer.scope.child();
  const noted = new RunJoiner(part);
  const checking = ordered<Piece, Uint8Array>({
    scope,
    limit: Math.max(1, Math.min(pool.slabCount - 1, pool.threads + 1)),
    run: async ({ slab, run }) => {
      try {
        return await pool.hash(slab, startsOf(run.lengths), run.lengths);
      } finally {
        slab.release();
      }
    },
    commit: (hashes, { run }) => {
      for (const good of equalRuns(run, hashes)) {
        noted.add(good);
        counters.writtenBytes += sizeOf(good);
      }
      counters.resumedBytes = counters.writtenBytes;
      readBytes += sizeOf(run);
      transfer.file = { name: sink.name, readBytes, sizeBytes: claimedBytes };
      transfer.teller.tell();
    },
  });
  await scope.run(async () => {
    for (const claim of claims) {
      const run = await scope.race(part.read(claim));
      for (const piece of piecesOf(run, pool.slabBytes)) {
        await check(transfer, { part, checking }, piece);
      }
    }
    await checking.drain();
  });
  const held = noted.end();
  await transfer.scope.race(part.settle());
  return held;
}

async function check(
  { scope, options }: Transfer,
  { part, checking }: { readonly part: SinkPart; readonly checking: OrderedStage<Piece> },
  run: ChunkRun,
): Promise<void> {
  const [slab] = (await scope.obtain(
    (signal) => options.pool.acquire(1, signal),
    (late) => late[0]?.release(),
  )) as [Slab];
  const reading = part.readAt(slab.bytes.subarray(0, sizeOf(run)), run.offset);
  const done = slab.borrow();
  reading.then(done, done);
  try {
    await scope.race(reading);
    await checking.push({ slab, run });
  } catch (error) {
    slab.release();
    throw error;
  }
}

/** Puts runs that follow each other together before they are noted: a list of few runs is read fast. */
export class RunJoiner {
  readonly #part: SinkPart;
  readonly #held: KeptRun[] = [];
  #waiting: ChunkRun[] = [];
  #chunkCount = 0;
  #end = 0;

  constructor(part: SinkPart) {
    this.#part = part;
  }

  add(run: ChunkRun): void {
    const isNext = this.#waiting.length > 0 && this.#end === run.offset;
    if (!isNext || this.#chunkCount + run.lengths.length > MAX_RUN_CHUNKS) this.#flush();
    this.#waiting.push(run);
    this.#chunkCount += run.lengths.length;
    this.#end = run.offset + sizeOf(run);
  }

  /** @returns what was noted */
  end(): KeptRun[] {
    this.#flush();
    return this.#held;
  }

  #flush(): void {
    const [first] = this.#waiting;
    if (first === undefined) return;
    const lengths = new Uint32Array(this.#chunkCount);
    const hashes = new Uint8Array(HASH_BYTES * this.#chunkCount);
    let at = 0;
    for (const run of this.#waiting) {
      lengths.set(run.lengths, at);
      hashes.set(run.hashes, HASH_BYTES * at);
      at += run.lengths.length;
    }
    const noted = this.#part.note({ offset: first.offset, lengths, hashes });
    // What cannot be noted is fetched again.
    if (noted !== null) this.#held.push(noted);
    this.#waiting = [];
    this.#chunkCount = 0;
  }
}

/** Parts of a run that fit in `slabBytes`. */
export function piecesOf(run: ChunkRun, slabBytes: number): ChunkRun[] {
  const pieces: ChunkRun[] = [];
  let first = 0;
  let offset = run.offset;
  let sizeBytes = 0;
  for (const [i, length] of run.lengths.entries()) {
    if (sizeBytes + length > slabBytes) {
      pieces.push(sliceRun(run, first, i, offset));
      first = i;
      offset += sizeBytes;
      sizeBytes = 0;
    }
    sizeBytes += length;
  }
  if (first < run.lengths.length) pieces.push(sliceRun(run, first, run.lengths.length, offset));
  return pieces;
}

/** Stretches of chunks of `run` that have the hashes that it names. */
export function equalRuns(run: ChunkRun, hashes: Uint8Array): ChunkRun[] {
  const equal: ChunkRun[] = [];
  let first = 0;
  let start = run.offset;
  let position = run.offset;
  for (let i = 0; i <= run.lengths.length; i++) {
    const fits = i < run.lengths.length && sameHash(run.hashes, hashes, i);
    const next = position + (run.lengths[i] ?? 0);
    if (!fits) {
      if (i > first) equal.push(sliceRun(run, first, i, start));
      first = i + 1;
      start = next;
    }
    position = next;
  }
  return equal;
}

function sliceRun(run: ChunkRun, first: number, end: number, offset: number): ChunkRun {
  return {
    offset,
    lengths: run.lengths.subarray(first, end),
    hashes: run.hashes.subarray(HASH_BYTES * first, HASH_BYTES * end),
  };
}

function sameHash(a: Uint8Array, b: Uint8Array, index: number): boolean {
  for (let at = HASH_BYTES * index; at < HASH_BYTES * (index + 1); at++) {
    if (a[at] !== b[at]) return false;
  }
  return true;
}

export function startsOf(lengths: Uint32Array): Uint32Array {
  const starts = new Uint32Array(lengths.length);
  for (let i = 1; i < lengths.length; i++) {
    starts[i] = (starts[i - 1] as number) + (lengths[i - 1] as number);
  }
  return starts;
}

export function sizeOf({ lengths }: ChunkRun): number {
  return lengths.reduce((sum, length) => sum + length, 0);
}
