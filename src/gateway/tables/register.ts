import { bytesEqual, orderInSteps, type Sequence } from '../../bytes/index.js';
import type { Clock } from '../../flow/index.js';
import { HASH_BYTES, type MerkleHash } from '../../hash/index.js';
import type { Hasher } from '../../hash/ports.js';
import { fileHashesOf, type ShardFile, type ShardTerm } from '../../shard/index.js';
import { isDamage } from '../failures.js';
import { encodeLongRecord, readRecord } from '../file-record.js';
import { fileKey } from '../keys.js';
import type { ObjectStore } from '../ports.js';
import type { IndexRegistration } from '../store-index.js';
import { createYielder, inSteps, mapLimited } from '../turns.js';
import {
  type ChunkEntry,
  compareKeys,
  decodeFileEntry,
  encodeChunkEntry,
  encodeFileEntry,
  encodeObjectEntry,
  type FileEntry,
  fileEntryBytes,
  MAX_VALUE_BYTES,
  sizeOf,
} from './entries.js';
import { FILES } from './format.js';
import type { TableList, TableName } from './list.js';
import { latest } from './merge.js';
import { entriesUnder, PackedEntries } from './packed-entries.js';
import { putTable } from './put.js';
import type { TableReader } from './read.js';
import { FILES_AGE_MS, searchTables } from './search.js';

export interface RegisterTableParts {
  readonly store: ObjectStore;
  readonly hasher: Hasher;
  readonly clock: Clock;
  readonly reader: TableReader;
  readonly list: TableList;
  shards(chunk: MerkleHash): Promise<readonly ChunkEntry[]>;
}

const CONCURRENT_CALLS = 16;
/** Chunks that are looked up to find out whether a shard is listed. All of a shard are written at once. */
const CHUNKS_TO_ASK = 4;

/**
 * Writes one table with what is not there yet: the files and, with them or when they are missing too, the
 * chunks. Long records are put before it. True when a file is new or was repaired.
 */
export async function registerInTables(
  parts: RegisterTableParts,
  { shard, chunks, files, isGood, relist = false }: IndexRegistration,
): Promise<boolean> {
  const { clock, list } = parts;
  const entryOf = createLookUp(parts, await list.known(FILES_AGE_MS));
  const nowMs = clock.unixMs();
  const added = new PackedEntries();
  const take = async (file: ShardFile): Promise<void> => {
    const there = await entryOf(file.hash);
    if (there !== null && (await stillBuilds(parts, file, there, isGood))) return;
    // What takes the place of another record has to be newer, whatever the clocks say.
    const createdMs = Math.max(nowMs, (there?.createdMs ?? 0) + 1);
    await addEntry(parts, added, { shard, createdMs }, file);
  };
  // In the order of the tables, so that each page is read once.
  const hashes = await inSteps(fileHashesOf(files));
  const inOrder = await inSteps(
    orderInSteps(files.length, (a, b) =>
      compareKeys(hashes, a * HASH_BYTES, hashes, b * HASH_BYTES),
    ),
  );
  await mapLimited(inOrder, CONCURRENT_CALLS, (index) => take(files.at(index) as ShardFile));
  if (added.length === 0 && !relist && (await isListed(parts, shard, chunks))) return false;
  const value = encodeChunkEntry({ shard, createdMs: nowMs });
  const listed = await inSteps(entriesUnder(chunks, value));
  list.change([await putTable(parts, added, listed)], []);
  return added.length > 0;
}

const MAX_ATTEMPTS = 4;

/**
 * Finds the newest entry that can be read; null when there is none. What it is found in is looked at
 * once: what is damaged by now must not pass for registered because it was read before.
 */
function createLookUp(
  { reader, list }: RegisterTableParts,
  known: readonly TableName[],
): (hash: MerkleHash) => Promise<FileEntry | null> {
  let tables = known;
  const states = new Map<string, ReturnType<TableReader['look']>>();
  const look = (key: string): ReturnType<TableReader['look']> => {
    const state = states.get(key) ?? reader.look(key);
    states.set(key, state);
    return state;
  };
  return async (hash) => {
    for (let attempt = 1; ; attempt++) {
      const { values } = await searchTables(reader, tables, FILES, hash);
      if (values.length === 0) return null;
      const value = latest(values.map((found) => found.value));
      const holder = values.find((found) => found.value === value)?.table.key as string;
      const state = await look(holder);
      if (state === 'there' || attempt === MAX_ATTEMPTS) return decodeFileEntry(hash, value);
      states.delete(holder);
      if (state === 'gone') tables = await list.refresh();
    }
  };
}

async function stillBuilds(
  { store }: RegisterTableParts,
  file: ShardFile,
  there: FileEntry,
  isGood: IndexRegistration['isGood'],
): Promise<boolean> {
  try {
    const record = there.file ?? (await readRecord(store, file.hash));
    return (await isSame(record, file)) || (await isGood(record));
  } catch (error) {
    if (isDamage(error)) return false;
    throw error;
  }
}

/** Whether both say the same; a file may have a million terms. */
async function isSame(a: ShardFile, b: ShardFile): Promise<boolean> {
  if (a.terms.length !== b.terms.length) return false;
  if ((a.verification === null) !== (b.verification === null)) return false;
  if (
    a.sha256 === null || b.sha256 === null ? a.sha256 !== b.sha256 : !bytesEqual(a.sha256, b.sha256)
  )
    return false;
  const yieldAfter = createYielder();
  for (const [at, term] of a.terms.entries()) {
    if (!isSameTerm(term, b.terms[at] as ShardTerm)) return false;
    if (a.verification?.[at]?.equals(b.verification?.[at] as MerkleHash) === false) return false;
    const others = yieldAfter(1);
    if (others !== undefined) await others;
  }
  return true;
}

function isSameTerm(a: ShardTerm, b: ShardTerm): boolean {
  return (
    a.chunkStart === b.chunkStart &&
    a.chunkEnd === b.chunkEnd &&
    a.unpackedBytes === b.unpackedBytes &&
    (a.flags ?? 0) === (b.flags ?? 0) &&
    a.xorb.equals(b.xorb)
  );
}

/** Adds the entry of a file; a long record is stored first, in place of one that is no good. */
async function addEntry(
  { store }: RegisterTableParts,
  added: PackedEntries,
  stamp: ChunkEntry,
  file: ShardFile,
): Promise<void> {
  const { bytes: key } = file.hash;
  const bytes = fileEntryBytes(file);
  if (bytes <= MAX_VALUE_BYTES) {
    added.add(key, bytes, (writer) => encodeFileEntry(stamp, file, writer));
    return;
  }
  await store.put(fileKey(file.hash), await encodeLongRecord(file), { replace: true });
  const value = encodeObjectEntry({ ...stamp, sizeBytes: sizeOf(file) });
  added.add(key, value.length, (writer) => writer.bytes(value));
}

async function isListed(
  parts: RegisterTableParts,
  shard: MerkleHash,
  chunks: Sequence<MerkleHash>,
): Promise<boolean> {
  if (chunks.length === 0) return true;
  for (let index = 0; index < Math.min(chunks.length, CHUNKS_TO_ASK); index++) {
    const known = await parts.shards(chunks.at(index) as MerkleHash);
    if (known.some((entry) => entry.shard.equals(shard))) return true;
  }
  return false;
}
