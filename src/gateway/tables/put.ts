import { bytesEqual, concatBytes, hexEncode } from '../../bytes/index.js';
import { HASH_BYTES } from '../../hash/index.js';
import type { Hasher } from '../../hash/ports.js';
import type { ObjectStore } from '../ports.js';
import { pause } from '../turns.js';
import { compareEntries, type TableEntry } from './entries.js';
import { type TableName, tableKey } from './list.js';
import { writeTable } from './write.js';

const NAME_KEY: Uint8Array = new TextEncoder().encode('orbweaver gateway: names of tabl');

function digestOf(hasher: Hasher, bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(HASH_BYTES);
  hasher.keyed(NAME_KEY, bytes, out, 0);
  return out;
}

/** Puts a table of these entries, in any order. Its name is that of its bytes: a second put changes nothing. */
export async function putTable(
  parts: { readonly store: ObjectStore; readonly hasher: Hasher },
  files: readonly TableEntry[],
  chunks: readonly TableEntry[],
): Promise<TableName> {
  const { store, hasher } = parts;
  const sections = [
    { maxCount: files.length, entries: await sorted(files) },
    { maxCount: chunks.length, entries: await sorted(chunks) },
  ] as const;
  const pieces: Uint8Array[] = [];
  const digests: Uint8Array[] = [];
  for await (const piece of writeTable(hasher, sections)) {
    pieces.push(piece);
    digests.push(digestOf(hasher, piece));
  }
  const key = tableKey(0, hexEncode(digestOf(hasher, concatBytes(digests))));
  const sizeBytes = pieces.reduce((sum, { length }) => sum + length, 0);
  if (!(await store.put(key, pieces))) {
    const there = await store.read(key);
    if (there === null || !bytesEqual(there, concatBytes(pieces))) {
      await store.put(key, pieces, { replace: true });
    }
  }
  return { key, level: 0, sizeBytes };
}

/** In parts by the first byte, so that no other request waits for tens of thousands of entries. */
async function sorted(entries: readonly TableEntry[]): Promise<TableEntry[]> {
  const parts = Array.from({ length: 256 }, (): TableEntry[] => []);
  for (const entry of entries) (parts[entry.key[0] as number] as TableEntry[]).push(entry);
  const all: TableEntry[] = [];
  for (const [index, part] of parts.entries()) {
    for (const entry of part.sort(compareEntries)) all.push(entry);
    if (index % 64 === 63) await pause();
  }
  return all;
}
