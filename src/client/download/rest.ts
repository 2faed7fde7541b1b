import { createMerkleTree, HASH_BYTES } from '../../hash/index.js';
import type { KeptRun, SinkPart } from '../ports.js';
import type { Transfer } from './block.js';
import { Lanes } from './lanes.js';
import type { Gap } from './seeds/take.js';

/** Gaps up to this size are fetched side by side; a longer one, of more than a xorb, has ranges enough of its own. */
const SMALL_GAP_BYTES: number = 64 * 1024 * 1024;

/** Fetches a gap with so many requests at a time. @returns where the file or the gap ended */
export type FetchGap = (gap: Gap, concurrency: number) => Promise<number>;

/** What lies between runs, from the start of the file to its end, ascending. */
export function gapsOf(runs: readonly KeptRun[]): Gap[] {
  const gaps: Gap[] = [];
  let position = 0;
  for (const { offset, sizeBytes } of runs) {
    if (offset > position) gaps.push({ offset: position, end: offset });
    position = offset + sizeBytes;
  }
  return [...gaps, { offset: position, end: Number.POSITIVE_INFINITY }];
}

/**
 * Fetches what lies between held runs. What is fetched is noted, too: so in the end the hashes of all
 * chunks are read from the notes, in the order of the file, however the bytes came.
 *
 * @returns false when the file is another one in the end
 * @throws OrbweaverError what fetching throws
 */
export async function transferRest(
  transfer: Transfer,
  held: readonly KeptRun[],
  fetchGap: FetchGap,
  concurrency: number,
): Promise<boolean> {
  const part = transfer.part as SinkPart;
  const noted: KeptRun[] = [...held];
  transfer.onNoted = (run) => noted.push(run);
  const gaps = gapsOf(held);
  const last = gaps.pop() as Gap;
  const isSmall = ({ offset, end }: Gap): boolean => end - offset <= SMALL_GAP_BYTES;
  try {
    await sideBySide(transfer, concurrency, gaps.filter(isSmall), (gap) => fetchGap(gap, 1));
    for (const gap of gaps) if (!isSmall(gap)) await fetchGap(gap, concurrency);
    const sizeBytes = await fetchGap(last, concurrency);
    transfer.phase = 'verifying';
    transfer.teller.tell();
    return await isTheFile(transfer, part, noted, sizeBytes);
  } finally {
    transfer.onNoted = null;
  }
}

/** All are over, one way or the other, when it settles. @throws what the first failure threw */
async function sideBySide<T>(
  transfer: Transfer,
  most: number,
  items: readonly T[],
  work: (item: T) => Promise<unknown>,
): Promise<void> {
  const scope = transfer.scope.child();
  // Their fetches are counted for the goodput.
  const lanes = new Lanes({ scope, most, goodput: null, demand: transfer.demand }, items, work);
  await scope.settled();
  lanes.stop();
  scope.check();
  scope.close();
}

async function isTheFile(
  { options, scope, counters }: Transfer,
  part: SinkPart,
  noted: readonly KeptRun[],
  sizeBytes: number,
): Promise<boolean> {
  const tree = createMerkleTree(options.hasher);
  let position = 0;
  for (const run of [...noted].sort((a, b) => a.offset - b.offset)) {
    if (run.offset !== position) return false;
    const { hashes, lengths } = await scope.race(part.read(run));
    for (const [i, length] of lengths.entries()) tree.push(hashes, HASH_BYTES * i, length);
    position += run.sizeBytes;
  }
  counters.writtenBytes = position;
  return position === sizeBytes && tree.fileHash().equals(options.fileHash);
}
