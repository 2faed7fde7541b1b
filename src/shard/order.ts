import {
  createStepMeter,
  orderInSteps,
  type Sequence,
  sequenceOf,
  sortInSteps,
} from '../bytes/index.js';
import { compareHashes, HASH_BYTES } from '../hash/index.js';
import { fileHashesOf } from './packed-files.js';
import type { ShardFile, ShardXorb } from './types.js';

/** The order in which the files and the xorbs of a shard are written. */

/**
 * In the order of the hash texts, without duplicates. The high half of the first u64 tells almost any
 * two apart, and comparing numbers is several times as quick as looking into two arrays of bytes.
 */
export function* xorbsInOrder(xorbs: readonly ShardXorb[]): Generator<void, ShardXorb[]> {
  // Of equal ones the first stays: the sort keeps their order.
  const order = yield* sortInSteps(xorbs, (a, b) => compareTexts(a.hash.bytes, 0, b.hash.bytes, 0));
  const isDue = createStepMeter();
  const unique: ShardXorb[] = [];
  for (const xorb of order) {
    const last = unique[unique.length - 1];
    if (last === undefined || !last.hash.equals(xorb.hash)) unique.push(xorb);
    if (isDue(1)) yield;
  }
  return unique;
}

/** The same for files, of which there may be half a million: sorted by their packed hashes alone. */
export function* filesInOrder(files: Sequence<ShardFile>): Generator<void, Sequence<ShardFile>> {
  const hashes = yield* fileHashesOf(files);
  const order = yield* orderInSteps(files.length, (a, b) =>
    compareTexts(hashes, a * HASH_BYTES, hashes, b * HASH_BYTES),
  );
  const isDue = createStepMeter();
  let count = 0;
  let last = -1;
  for (const index of order) {
    const isNew =
      last < 0 || compareHashes(hashes, last * HASH_BYTES, hashes, index * HASH_BYTES) !== 0;
    if (isNew) order[count++] = index;
    last = index;
    if (isDue(1)) yield;
  }
  return sequenceOf(count, (at) => files.at(order[at] as number) as ShardFile);
}

function compareTexts(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number): number {
  return highHalf(a, aAt) - highHalf(b, bAt) || compareHashes(a, aAt, b, bAt);
}

function highHalf(hashes: Uint8Array, at: number): number {
  return (
    (hashes[at + 7] as number) * 0x1000000 +
    (((hashes[at + 6] as number) << 16) |
      ((hashes[at + 5] as number) << 8) |
      (hashes[at + 4] as number))
  );
}
