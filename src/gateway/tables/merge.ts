import { MAX_SHARDS } from '../dedup-index.js';
import { compareBytes, decodeStamp, type TableEntry } from './entries.js';

/** Entries of several tables as one sequence. */

type Pages = AsyncGenerator<TableEntry[], void, undefined>;

interface Cursor {
  readonly pages: Pages;
  entries: TableEntry[];
  at: number;
}

/** All values of one key at a time, in the order of the keys. What it holds is a page of each source. */
export async function* groupByKey(
  sources: readonly Pages[],
): AsyncGenerator<{ readonly key: Uint8Array; readonly values: Uint8Array[] }, void, undefined> {
  const heap: Cursor[] = [];
  try {
    for (const pages of sources) {
      const cursor: Cursor = { pages, entries: [], at: 0 };
      heap.push(cursor);
      if (!(await advance(cursor))) heap.pop();
    }
    while (heap.length > 0) {
      // Sixteen or some tens of sources: looking at each costs no more than keeping them sorted.
      let least = heap[0] as Cursor;
      for (const cursor of heap) {
        if (compareBytes(keyOf(cursor), keyOf(least)) < 0) least = cursor;
      }
      const key = keyOf(least);
      const values: Uint8Array[] = [];
      for (let index = heap.length - 1; index >= 0; index--) {
        const cursor = heap[index] as Cursor;
        while (cursor.at < cursor.entries.length && compareBytes(keyOf(cursor), key) === 0) {
          values.push((cursor.entries[cursor.at] as TableEntry).value);
          cursor.at++;
          if (cursor.at === cursor.entries.length && !(await advance(cursor))) {
            heap.splice(index, 1);
            break;
          }
        }
      }
      yield { key, values };
    }
  } finally {
    for (const pages of sources) await pages.return();
  }
}

function keyOf({ entries, at }: Cursor): Uint8Array {
  return (entries[at] as TableEntry).key;
}

/** The next page that has entries; false at the end. */
async function advance(cursor: Cursor): Promise<boolean> {
  do {
    const step = await cursor.pages.next();
    if (step.done === true) return false;
    cursor.entries = step.value;
    cursor.at = 0;
  } while (cursor.entries.length === 0);
  return true;
}

/** Which of several records of a file counts: the one that came last. */
export function latest(values: readonly Uint8Array[]): Uint8Array {
  let best = values[0] as Uint8Array;
  for (const value of values) {
    const order = decodeStamp(value).createdMs - decodeStamp(best).createdMs;
    if (order > 0 || (order === 0 && compareBytes(value, best) > 0)) best = value;
  }
  return best;
}

/** The entries of a chunk that are used: of each shard the newest, of them all the newest. */
export function newestShards(values: readonly Uint8Array[]): Uint8Array[] {
  if (values.length === 1) return [...values];
  const stamped = values.map((value) => ({ value, ...decodeStamp(value) }));
  stamped.sort((a, b) => b.createdMs - a.createdMs || compareBytes(a.shard.bytes, b.shard.bytes));
  const seen = new Set<string>();
  const newest: Uint8Array[] = [];
  for (const { value, shard } of stamped) {
    const name = shard.toString();
    if (seen.has(name)) continue;
    seen.add(name);
    newest.push(value);
    if (newest.length === MAX_SHARDS) break;
  }
  return newest;
}

type Groups = AsyncIterable<{ readonly key: Uint8Array; readonly values: readonly Uint8Array[] }>;

/** The files of a merged table. */
export async function* mergedFiles(groups: Groups): AsyncGenerator<TableEntry, void, undefined> {
  for await (const { key, values } of groups) yield { key, value: latest(values) };
}

/** The chunks of a merged table. */
export async function* mergedChunks(groups: Groups): AsyncGenerator<TableEntry, void, undefined> {
  for await (const { key, values } of groups) {
    for (const value of newestShards(values)) yield { key, value };
  }
}
