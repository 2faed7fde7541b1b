import { GrowableBytes, GrowableU32 } from '../../bytes/index.js';
import { type FileChunks, placeChunks } from '../../dedup/index.js';
import { isOrbweaverError } from '../../errors.js';
import type { Clock, Reservation, Scope } from '../../flow/index.js';
import { createMerkleTree, HASH_BYTES, MerkleHash } from '../../hash/index.js';
import type { Hasher } from '../../hash/ports.js';
import type { CasClient, ComputePool, Source } from '../ports.js';
import { learnListing } from './base-listing.js';
import type { Knowledge } from './knowledge.js';
import { listChunks } from './list-chunks.js';

/**
 * The previous version of what is uploaded, so that an upload from a machine without any memory of
 * earlier ones stores no more than what is new. From a local copy: its chunks are cut and hashed here,
 * and the store says, as it would for a download, which xorbs the file is made of; together they tell
 * of every old chunk where it lies, exactly, against any server of this protocol. By its hash alone:
 * only where the server answers questions about files, or lists the hashes of their chunks.
 *
 * An optimisation: a base that cannot be used is told of, and the upload goes on without it.
 */
export type BaseInput = Source | MerkleHash;

/** What became of a base. */
export interface BaseOutcome {
  /** Name of the source, or the hash. */
  readonly name: string;
  /** Null when a local copy could not be read to its end. */
  readonly fileHash: MerkleHash | null;
  /** Chunks of stored xorbs that the upload knows by it. */
  readonly knownChunks: number;
  /** Bytes of xorbs that were read to learn it. */
  readonly readBytes: number;
  /** Why it is not used, a sentence; null: it is. */
  readonly problem: string | null;
}

/** What learning a base needs. */
export interface BaseParts {
  readonly cas: Pick<CasClient, 'denseDedup' | 'queryDedupMany'> &
    Partial<Pick<CasClient, 'getReconstruction' | 'getChunkHashes' | 'readRanges'>>;
  readonly pool: ComputePool;
  readonly hasher: Hasher;
  readonly clock: Clock;
  readonly knowledge: Knowledge;
  readonly scope: Scope;
}

/** Bytes of the file that the store is asked about at a time: it bounds the response. */
const ASK_BYTES: number = 4 * 1024 * 1024 * 1024;

/** Memory of one listed chunk while the list grows: hash and length, and as much again for growth. */
const LISTED_CHUNK_BYTES = 72;

/** The list may take this share of the free memory: what is learnt from it needs the rest. */
const LIST_SHARE = 0.5;

/** Memory that a response to a question about a file is given before its size is known. */
const EXPECTED_RESPONSE_BYTES = 256 * 1024;
/** What decoding it takes, as a factor. */
const DECODING_FACTOR = 2;

/** Learns a base. @throws OrbweaverError only the reason of the scope */
export async function learnBase(base: BaseInput, parts: BaseParts): Promise<BaseOutcome> {
  const isHash = base instanceof MerkleHash;
  const name = isHash ? base.toString() : base.name;
  const outcome = { name, fileHash: null, knownChunks: 0, readBytes: 0 };
  try {
    const found = await (isHash ? learnHash(base, parts) : learnCopy(base, parts));
    return { ...outcome, ...found };
  } catch (error) {
    parts.scope.check();
    if (!isOrbweaverError(error)) throw error;
    return { ...outcome, problem: `${error.message}; the upload goes on without it` };
  }
}

type Found = Omit<BaseOutcome, 'name' | 'readBytes'> & Partial<Pick<BaseOutcome, 'readBytes'>>;

const OTHER = 'the server says that it is made of other chunks; the upload goes on without it';
const UNKNOWN = 'the server does not know it; the upload goes on without it';

async function learnCopy(source: Source, parts: BaseParts): Promise<Found> {
  const { pool, hasher, knowledge, scope } = parts;
  const memory = knowledge.budget.tryAcquire(0) as Reservation;
  const maxBytes = LIST_SHARE * knowledge.freeBytes;
  const tree = createMerkleTree(hasher);
  const hashes = new GrowableBytes();
  const lengths = new GrowableU32();
  let isFull = false;
  try {
    await listChunks({
      pool,
      source,
      scope,
      onChunks: (more, moreLengths) => {
        tree.pushAll(more, moreLengths);
        const bytes = LISTED_CHUNK_BYTES * (lengths.length + moreLengths.length);
        // What does not fit is not known: the beginning of a huge base is better than nothing.
        isFull ||= bytes > maxBytes || !memory.resize(bytes);
        if (isFull) return;
        hashes.push(more);
        for (const length of moreLengths) lengths.push(length);
      },
    });
    const fileHash = tree.fileHash();
    const list = { hashes: hashes.view(), lengths: lengths.view() };
    return { fileHash, ...(await learnTerms(fileHash, tree.sizeBytes, list, parts)) };
  } finally {
    memory.release();
  }
}

/** Asks the store where the file lies, and learns that of the chunks in the list. */
async function learnTerms(
  fileHash: MerkleHash,
  sizeBytes: number,
  list: FileChunks,
  { cas, knowledge, scope }: BaseParts,
): Promise<Pick<Found, 'knownChunks' | 'problem'>> {
  const { getReconstruction } = cas;
  const count = list.lengths.length;
  const isWhole = list.lengths.reduce((sum, length) => sum + length, 0) === sizeBytes;
  if (count === 0 || getReconstruction === undefined) return { knownChunks: 0, problem: UNKNOWN };
  let knownChunks = 0;
  /** The next chunk, and where it begins in the file. */
  let chunk = 0;
  let start = 0;
  while (chunk < count) {
    const end = start + ASK_BYTES;
    const range = start === 0 && sizeBytes <= ASK_BYTES ? undefined : { start, end };
    const told = await unlessMissing(
      scope.call((signal) => getReconstruction.call(cas, fileHash, range, signal)),
    );
    if (told === null) return { knownChunks, problem: knownChunks > 0 ? null : UNKNOWN };
    // A response may begin with chunks before the byte that was asked for.
    for (let before = told.offsetIntoFirstTerm; before > 0 && chunk > 0; chunk--) {
      before -= list.lengths[chunk - 1] as number;
      start -= list.lengths[chunk - 1] as number;
    }
    const hashes = list.hashes.subarray(HASH_BYTES * chunk);
    const placed = placeChunks(told.terms, { hashes, lengths: list.lengths.subarray(chunk) });
    // Only of a list that is not whole may there be terms that go on behind it.
    if (placed === null || (!placed.isWhole && isWhole)) return { knownChunks, problem: OTHER };
    knownChunks += knowledge.learnRuns(placed.runs);
    if (!placed.isWhole || placed.chunkCount === 0) break;
    for (let i = 0; i < placed.chunkCount; i++) start += list.lengths[chunk++] as number;
  }
  return { knownChunks, problem: null };
}

async function learnHash(fileHash: MerkleHash, parts: BaseParts): Promise<Found> {
  const { cas, knowledge, scope } = parts;
  const { getReconstruction, queryDedupMany } = cas;
  const none = { fileHash, knownChunks: 0 };
  // Whether the server takes such questions shows in any response of it.
  const told = await unlessMissing(
    scope.call(
      async (signal) =>
        (await getReconstruction?.call(cas, fileHash, { start: 0, end: 1 }, signal)) ?? null,
    ),
  );
  if (told === null) return { ...none, problem: UNKNOWN };
  if (queryDedupMany === undefined || cas.denseDedup?.() == null) {
    return { ...none, ...(await learnFromListing(fileHash, parts)) };
  }
  const memory = knowledge.budget.tryAcquire(EXPECTED_RESPONSE_BYTES);
  if (memory === null) return { ...none, problem: 'there is no memory for it' };
  const admit = (bytes: number): boolean =>
    memory.bytes >= DECODING_FACTOR * bytes || memory.resize(DECODING_FACTOR * bytes);
  try {
    const shard = await scope.call((signal) =>
      queryDedupMany.call(cas, { chunks: [], files: [fileHash] }, signal, admit),
    );
    if (shard === null) return { ...none, problem: UNKNOWN };
    memory.release();
    return { ...none, knownChunks: knowledge.learn(shard, 'global').chunks, problem: null };
  } finally {
    memory.release();
  }
}

const NOT_LISTED =
  'the server does not list the chunks of a file: name a local copy; the upload goes on without it';

/** For servers that are asked about chunks one by one. */
async function learnFromListing(
  fileHash: MerkleHash,
  { cas, pool, hasher, clock, knowledge, scope }: BaseParts,
): Promise<Pick<BaseOutcome, 'knownChunks' | 'readBytes' | 'problem'>> {
  const { getReconstruction, getChunkHashes, readRanges } = cas;
  const none = { knownChunks: 0, readBytes: 0 };
  if (!getReconstruction || !getChunkHashes || !readRanges) return { ...none, problem: NOT_LISTED };
  const store = {
    getReconstruction: getReconstruction.bind(cas),
    getChunkHashes: getChunkHashes.bind(cas),
    readRanges: readRanges.bind(cas),
  };
  const whole = await scope.call((signal) => store.getReconstruction(fileHash, undefined, signal));
  const parts = { cas: store, pool, hasher, clock, knowledge, scope };
  const { knownChunks, readBytes } = await learnListing(fileHash, whole?.terms ?? [], parts);
  return { knownChunks, readBytes, problem: knownChunks > 0 ? null : NOT_LISTED };
}

/** Null for what the store does not have. */
async function unlessMissing<T>(response: Promise<T | null>): Promise<T | null> {
  try {
    return await response;
  } catch (error) {
    if (isOrbweaverError(error) && error.code === 'NOT_FOUND') return null;
    throw error;
  }
}
