import {
  bytesEqualInSteps,
  concatBytes,
  hexEncode,
  orderInSteps,
  type Sequence,
  sequenceOf,
} from '../../bytes/index.js';
import { HASH_BYTES } from '../../hash/index.js';
import type { Hasher } from '../../hash/ports.js';
import type { ObjectStore } from '../ports.js';
import { inSteps } from '../turns.js';
import { compareEntries, type TableEntry } from './entries.js';
import { type TableList, type TableName, tableKey } from './list.js';
import type { EntryList } from './packed-entries.js';
import { writeTable } from './write.js';

const NAME_KEY: Uint8Array = new TextEncoder().encode('orbweaver gateway: names of tabl');

function digestOf(hasher: Hasher, bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(HASH_BYTES);
  hasher.keyed(NAME_KEY, bytes, out, 0);
  return out;
}

/** Puts a table of these entries, in any order. Its name is that of its bytes: a second put changes nothing. */
export async function putTable(
  parts: {
    readonly store: ObjectStore;
    readonly hasher: Hasher;
    /** @default that of the index */
    readonly list?: Pick<TableList, 'prefix'>;
  },
  files: EntryList,
  chunks: EntryList,
): Promise<TableName> {
  const { store, hasher, list } = parts;
  const [inFiles, inChunks] = [await sorted(files), await sorted(chunks)];
  const sections = [
    { maxCount: inFiles.length, entries: inFiles },
    { maxCount: inChunks.length, entries: inChunks },
  ] as const;
  const pieces: Uint8Array[] = [];
  const digests: Uint8Array[] = [];
  for await (const piece of writeTable(hasher, sections)) {
    pieces.push(piece);
    digests.push(digestOf(hasher, piece));
  }
  const key = tableKey(0, hexEncode(digestOf(hasher, concatBytes(digests))), list?.prefix);
  const sizeBytes = pieces.reduce((sum, { length }) => sum + length, 0);
  if (!(await store.put(key, pieces))) {
    const there = await store.read(key);
    if (there === null || !(await inSteps(bytesEqualInSteps(there, concatBytes(pieces))))) {
      await store.put(key, pieces, { replace: true });
    }
  }
  return { key, level: 0, sizeBytes };
}

/** In their order; the sorting goes in steps, so that no other request waits for half a million entries. */
async function sorted(entries: EntryList): Promise<Sequence<TableEntry>> {
  const entryAt = (index: number): TableEntry => entries.at(index) as TableEntry;
  const compare = (a: number, b: number): number =>
    entries.compare?.(a, b) ?? compareEntries(entryAt(a), entryAt(b));
  const order = await inSteps(orderInSteps(entries.length, compare));
  return sequenceOf(order.length, (at) => entryAt(order[at] as number));
}
