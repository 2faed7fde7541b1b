import { ByteWriter, bytesEqual, sortInSteps } from '../../bytes/index.js';
import type { Clock } from '../../flow/index.js';
import type { MerkleHash } from '../../hash/index.js';
import type { Hasher } from '../../hash/ports.js';
import type { ShardFile, ShardTerm } from '../../shard/index.js';
import { isDamage } from '../failures.js';
import { encodeLongRecord, readRecord } from '../file-record.js';
import { fileKey } from '../keys.js';
import type { ObjectStore } from '../ports.js';
import type { IndexRegistration } from '../store-index.js';
import { createYielder, inSteps, mapLimited } from '../turns.js';
import {
  type ChunkEntry,
  compareBytes,
  decodeFileEntry,
  encodeChunkEntry,
  encodeFileEntry,
  encodeObjectEntry,
  type FileEntry,
  fileEntryBytes,
  MAX_VALUE_BYTES,
  sizeOf,
  type TableEntry,
} from './entries.js';
import { FILES } from './format.js';
import type { TableList, TableName } from './list.js';
import { latest } from './merge.js';
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
  const added: TableEntry[] = [];
  const roomFor = createValueRoom();
  const take = async (file: ShardFile): Promise<void> => {
    const there = await entryOf(file.hash);
    if (there !== null && (await stillBuilds(parts, file, there, isGood))) return;
    // What takes the place of another record has to be newer, whatever the clocks say.
    const createdMs = Math.max(nowMs, (there?.createdMs ?? 0) + 1);
    added.push(await newEntry(parts, { shard, createdMs }, file, roomFor));
  };
  // In the order of the tables, so that each page is read once.
  const inOrder = await inSteps(
    sortInSteps(files, (a, b) => compareBytes(a.hash.bytes, b.hash.bytes)),
  );
  await mapLimited(inOrder, CONCURRENT_CALLS, take);
  if (added.length === 0 && !relist && (await isListed(parts, shard, chunks))) return false;
  const value = encodeChunkEntry({ shard, createdMs: nowMs });
  list.change([await putTable(parts, added, entriesUnder(chunks, value))], []);
  return added.length > 0;
}

function* entriesUnder(chunks: readonly MerkleHash[], value: Uint8Array): Generator<TableEntry> {
  for (const chunk of chunks) yield { key: chunk.bytes, value };
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

const ROOM_BYTES: number = 64 * 1024;

/** Room for values in blocks: a buffer for each of half a million would keep the collector busy for seconds. */
function createValueRoom(): (bytes: number) => ByteWriter {
  let room: ByteWriter | null = null;
  return (bytes) => {
    if (room === null || room.length + bytes > ROOM_BYTES) {
      room = new ByteWriter(room === null ? Math.max(1024, bytes) : ROOM_BYTES);
    }
    return room;
  };
}

/** The entry of a file; a long record is stored first, in place of one that is no good. */
async function newEntry(
  { store }: RegisterTableParts,
  stamp: ChunkEntry,
  file: ShardFile,
  roomFor: (bytes: number) => ByteWriter,
): Promise<TableEntry> {
  const key = file.hash.bytes;
  const bytes = fileEntryBytes(file);
  if (bytes <= MAX_VALUE_BYTES) return { key, value: encodeFileEntry(stamp, file, roomFor(bytes)) };
  await store.put(fileKey(file.hash), await encodeLongRecord(file), { replace: true });
  return { key, value: encodeObjectEntry({ ...stamp, sizeBytes: sizeOf(file) }) };
}

async function isListed(
  parts: RegisterTableParts,
  shard: MerkleHash,
  chunks: readonly MerkleHash[],
): Promise<boolean> {
  if (chunks.length === 0) return true;
  for (const chunk of chunks.slice(0, CHUNKS_TO_ASK)) {
    const known = await parts.shards(chunk);
    if (known.some((entry) => entry.shard.equals(shard))) return true;
  }
  return false;
}
