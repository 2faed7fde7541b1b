import { isOrbweaverError } from '../../../errors.js';
import { ordered, type Scope } from '../../../flow/index.js';
import { outputBytesOf } from '../../../plan/index.js';
import type { ChunkRun, KeptRun, RandomAccess, SinkPart, Slab } from '../../ports.js';
import { openBlock, type Transfer } from '../block.js';
import { equalRuns, piecesOf, RunJoiner, sizeOf, startsOf } from '../held.js';
import { cutSeed, readInto, type Seed } from './cut.js';
import { placeSeed, type SeedCopy, SeedPlaces, sizeOfCopy } from './places.js';
import { takeSlab } from './slabs.js';

/** What seeds brought. */
export interface SeedsTaken {
  /** Ascending and apart. */
  readonly runs: readonly KeptRun[];
  /** Why seeds brought nothing, or less than they could; null: nothing went wrong. */
  readonly note: string | null;
}

/** A stretch of the file that is not there yet. */
export interface Gap {
  readonly offset: number;
  /** `Infinity`: the end of the file. */
  readonly end: number;
}

/**
 * Copies what local files have of the file into the sink: cuts them, asks the store where their chunks
 * are, and takes those that the file uses. Each chunk is hashed once more when it is copied, so a file
 * that changes meanwhile is noticed.
 */
export async function takeSeeds(
  transfer: Transfer,
  part: SinkPart,
  gaps: readonly Gap[],
): Promise<SeedsTaken> {
  const { options, budget, scope } = transfer;
  const memory = budget.tryAcquire(0);
  if (memory === null) return { runs: [], note: 'there was no memory for seeds' };
  const notes: string[] = [];
  const places = new SeedPlaces();
  try {
    const cut = { pool: options.pool, hasher: options.hasher, scope, memory };
    for (const access of options.seeds ?? []) {
      const maxBytes = budget.capacityBytes / 2;
      const onCut = (readBytes: number): void => {
        transfer.file = { name: access.name, readBytes, sizeBytes: access.sizeBytes };
        transfer.teller.tell();
      };
      const seed = await cutOrNull(
        access,
        () => cutSeed(access, { ...cut, maxBytes, onCut }),
        notes,
      );
      if (seed === null) continue;
      if (seed.fileHash === null) {
        notes.push(`of "${access.name}" the first ${seed.starts.at(-1)} bytes were looked at`);
      }
      await placeSeed(transfer, seed, places);
    }
    if (places.isEmpty) {
      if (notes.length === 0) notes.push('the store does not know any chunk of the seeds');
      return { runs: [], note: notes.join('; ') };
    }
    const joiner = new RunJoiner(part);
    transfer.file = null;
    for (const gap of gaps) await fillGap(transfer, gap, places, joiner);
    const runs = joiner.end();
    if (runs.length === 0) notes.push('the file has no chunk of the seeds');
    return { runs, note: notes.length === 0 ? null : notes.join('; ') };
  } finally {
    memory.release();
    // Before the output gets its name: some systems do not replace a file that is open.
    for (const access of options.seeds ?? []) await access.close().catch(() => {});
  }
}

async function cutOrNull(
  access: RandomAccess,
  run: () => Promise<Seed>,
  notes: string[],
): Promise<Seed | null> {
  try {
    return await run();
  } catch (error) {
    const isOfSeed = isOrbweaverError(error) && error.code.startsWith('INPUT_');
    if (!isOfSeed) throw error;
    notes.push(`"${access.name}" could not be read: ${error.message}`);
    return null;
  }
}

async function fillGap(
  transfer: Transfer,
  { offset, end }: Gap,
  places: SeedPlaces,
  joiner: RunJoiner,
): Promise<void> {
  const { blockBytes } = transfer;
  let fileStart = offset;
  let isLast = false;
  while (!isLast) {
    const request = { fileStart, skipBytes: 0, blockBytes, end, keepHashes: false };
    const block = await openBlock(transfer, { ...request, previous: undefined });
    if (block === null) return;
    try {
      const { reconstruction } = block;
      const blockEnd = Math.min(fileStart + outputBytesOf(reconstruction), end);
      // The sink refuses early, and a small file is not worth it.
      await transfer.scope.race(Promise.resolve(transfer.options.sink.prepare?.(blockEnd)));
      let position = fileStart - reconstruction.offsetIntoFirstTerm;
      const copies: SeedCopy[] = [];
      for (const term of reconstruction.terms) {
        for (const copy of places.copiesOf(term, position)) {
          if (copy.offset >= fileStart && copy.offset + sizeOfCopy(copy) <= blockEnd)
            copies.push(copy);
        }
        position += term.unpackedBytes;
      }
      await copyAll(transfer, copies, joiner);
      isLast = block.isLast;
      fileStart = blockEnd;
    } finally {
      block.memory.release();
    }
  }
}

/** Chunks of a seed in a slab. */
interface Piece {
  readonly slab: Slab;
  readonly run: ChunkRun;
}

async function copyAll(
  transfer: Transfer,
  copies: readonly SeedCopy[],
  joiner: RunJoiner,
): Promise<void> {
  const { pool } = transfer.options;
  const scope = transfer.scope.child();
  const copying = ordered<Piece, Uint8Array>({
    scope,
    limit: Math.max(1, Math.min(pool.slabCount - 1, pool.threads + 2)),
    run: ({ slab, run }) => pool.hash(slab, startsOf(run.lengths), run.lengths),
    commit: async (hashes, { slab, run }) => {
      try {
        for (const good of equalRuns(run, hashes)) {
          await writeRun(transfer, { slab, run: good, slabOffset: good.offset - run.offset });
          joiner.add(good);
        }
      } finally {
        slab.release();
      }
    },
  });
  await scope.run(async () => {
    for (const copy of copies) {
      for (const piece of piecesOf(runOf(copy), pool.slabBytes)) {
        await readPiece({ transfer, scope, copy }, piece, (read) => copying.push(read));
      }
    }
    await copying.drain();
  });
}

async function readPiece(
  { transfer, scope, copy }: { transfer: Transfer; scope: Scope; copy: SeedCopy },
  run: ChunkRun,
  push: (piece: Piece) => Promise<void>,
): Promise<void> {
  const { seed, first, offset } = copy;
  const slab = await takeSlab(transfer.options.pool, scope);
  // What is not committed when the scope ends goes back as well.
  scope.onEnd(() => slab.release());
  const into = slab.bytes.subarray(0, sizeOf(run));
  const from = (seed.starts[first] as number) + run.offset - offset;
  try {
    await readInto(seed.access, { scope, slab, into, offset: from });
  } catch (error) {
    slab.release();
    // A seed that became shorter: its chunks are fetched.
    if (isOrbweaverError(error) && error.code.startsWith('INPUT_')) return;
    throw error;
  }
  await push({ slab, run });
}

function runOf({ seed, first, count, offset }: SeedCopy): ChunkRun {
  return {
    offset,
    lengths: seed.lengths.subarray(first, first + count),
    hashes: seed.hashes.subarray(32 * first, 32 * (first + count)),
  };
}

/** Writes the chunks of a run, but for long zeros. */
async function writeRun(
  transfer: Transfer,
  { slab, run, slabOffset }: { slab: Slab; run: ChunkRun; slabOffset: number },
): Promise<void> {
  const { sink } = transfer.options;
  const write = async (start: number, end: number): Promise<void> => {
    if (start === end) return;
    const at = slabOffset + start;
    const writing = sink.write(slab.bytes.subarray(at, at + end - start), run.offset + start);
    const done = slab.borrow();
    writing.then(done, done);
    await transfer.scope.race(writing);
  };
  let start = 0;
  let position = 0;
  for (const [i, length] of run.lengths.entries()) {
    if (transfer.isZero?.(run, i) === true) {
      await write(start, position);
      sink.skip?.(run.offset + position, length);
      start = position + length;
    }
    position += length;
  }
  await write(start, position);
  transfer.onCopied(position);
}
