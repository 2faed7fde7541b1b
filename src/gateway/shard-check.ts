import { bytesEqual, createStepMeter, type Sequence } from '../bytes/index.js';
import { createMerkleTree, HASH_BYTES, type MerkleHash, rangeHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import {
  PackedFiles,
  type ShardFile,
  type ShardTerm,
  type ShardXorb,
  XORB_CHUNKS_ACCEPT_MAX,
} from '../shard/index.js';
import { failure, isDamage, rejected } from './failures.js';
import type { UploadedShard } from './shard-intake.js';
import { createOutlineBuilder, type OutlineBuilder, type ShardOutline } from './shard-outline.js';
import { createYielder, inSteps } from './turns.js';
import { type CatalogXorb, endOf, rawBytesOf } from './xorb-catalog.js';
import type { XorbHealth } from './xorb-health.js';

/**
 * What has to be true before a shard is registered. Nothing it says is taken over that the stored
 * xorbs do not prove: their chunk hashes were computed here from their bytes.
 *
 *   every listed xorb        is stored, with exactly these chunk hashes, offsets and lengths
 *   every term               names chunks that its xorb has, and their true length
 *   every range hash         is keyed(VERIFICATION_KEY, the stored chunk hashes): only who has the
 *                            chunks knows it, so nobody gets at a file by naming chunks of others
 *   every file hash          is the one that its terms give
 */

/** A shard that may be stored. */
export interface CheckedShard {
  /** All with range hashes. */
  readonly files: Sequence<ShardFile>;
  /** Without the flags that the client set: the stored form gets its own. */
  readonly xorbs: readonly ShardXorb[];
  /** What it has to say to dedup queries. */
  readonly outline: ShardOutline;
}

export interface ShardCheckOptions {
  readonly health: XorbHealth;
  readonly hasher: Hasher;
  readonly acceptUnverified: boolean;
  /** One chunk in so many is listed for dedup queries. */
  readonly oneIn: number;
  readonly signal: AbortSignal;
  /** Listed xorbs and terms, checked and in all. */
  readonly onProgress?: (verified: number, total: number) => void;
}

/** Chunks between two pauses: a few milliseconds of hashing. */
const CHUNKS_PER_TURN = 4096;
/** Terms and xorbs between two pauses, when most of what they ask for is known. */
const ENTRIES_PER_TURN = 1024;

/**
 * Chunks that the files of one shard may name in all, with repeats: two TiB at the usual 64 KiB. The
 * hash of a file goes over all of its chunks, and 64 MiB of terms could name five thousand million.
 */
export const MAX_CHUNKS_PER_SHARD: number = 32 * 1024 * 1024;

/** Bytes of old xorbs that are read to find out whether they may be referred to. */
export const MAX_PROOF_BYTES: number = 16 * 1024 ** 3;

/** @throws OrbweaverError 400 with the first thing that is wrong */
export async function checkShard(
  shard: UploadedShard,
  options: ShardCheckOptions,
): Promise<CheckedShard> {
  const { termCount, lacksProofs } = await inSteps(checkWork(shard.files));
  const check = createCheck(shard.xorbs.length + termCount, options);
  for (const xorb of shard.xorbs) await check.xorb(xorb);
  // What the shard said is what was computed: half a million files are not kept a second time.
  const completed = lacksProofs ? new PackedFiles() : null;
  for (const file of shard.files) {
    const checked = await check.file(file);
    completed?.add(checked);
  }
  const xorbs = shard.xorbs.map((xorb) => ({
    ...xorb,
    chunkFlags: new Uint32Array(xorb.chunkLengths.length),
  }));
  return { files: completed ?? shard.files, xorbs, outline: check.outline.finish() };
}

/** Range hashes of one xorb that are kept in case another term has the same range. */
const KEPT_RANGE_HASHES = 4096;

interface ShardWork {
  readonly termCount: number;
  /** Some file comes without range hashes. */
  readonly lacksProofs: boolean;
}

/** Arithmetic only: before anything is hashed. */
function* checkWork(files: Sequence<ShardFile>): Generator<void, ShardWork> {
  const isDue = createStepMeter();
  let chunks = 0;
  let termCount = 0;
  let lacksProofs = false;
  for (const { terms, verification } of files) {
    termCount += terms.length;
    lacksProofs ||= verification === null;
    if (isDue(1)) yield;
    for (const { chunkStart, chunkEnd } of terms) {
      // A term that claims more is refused for that when its xorb is known.
      chunks += Math.min(XORB_CHUNKS_ACCEPT_MAX, Math.max(0, chunkEnd - chunkStart));
      if (isDue(1)) yield;
    }
  }
  if (chunks <= MAX_CHUNKS_PER_SHARD) return { termCount, lacksProofs };
  throw rejected(
    `the files of a shard expected at most ${MAX_CHUNKS_PER_SHARD} chunks, got ${chunks}: register them in several shards`,
  );
}

/** A xorb that the shard names, and the range hashes of it that were computed. */
interface KnownXorb {
  readonly xorb: CatalogXorb;
  readonly rangeHashes: Map<number, MerkleHash>;
}

interface Check {
  xorb(xorb: ShardXorb): Promise<void>;
  file(file: ShardFile): Promise<ShardFile>;
  readonly outline: OutlineBuilder;
}

/** @param total listed xorbs and terms */
function createCheck(total: number, options: ShardCheckOptions): Check {
  const { health, hasher, signal, onProgress } = options;
  const outline = createOutlineBuilder(options.oneIn);
  const yieldAfterChunks = createYielder(CHUNKS_PER_TURN);
  const yieldAfterEntries = createYielder(ENTRIES_PER_TURN);
  const allowance = { bytes: MAX_PROOF_BYTES };
  const known = new Map<string, KnownXorb>();
  let latest: KnownXorb | null = null;
  let verified = 0;

  async function stored(hash: MerkleHash): Promise<KnownXorb> {
    // Runs of terms of one xorb are the rule.
    if (latest?.xorb.hash.equals(hash) === true) return latest;
    const name = hash.toString();
    latest = known.get(name) ?? (await lookUp(hash));
    known.set(name, latest);
    return latest;
  }
  async function lookUp(hash: MerkleHash): Promise<KnownXorb> {
    try {
      const xorb = await health.usable(hash, allowance);
      if (xorb !== null) return { xorb, rangeHashes: new Map() };
    } catch (error) {
      if (!isDamage(error)) throw error;
      throw rejected(`xorb ${hash} is damaged here: upload it again before the shard`, error);
    }
    throw rejected(`xorb ${hash} is not stored: upload it before the shard`);
  }
  async function done(chunkCount: number): Promise<void> {
    onProgress?.(++verified, total);
    const others = yieldAfterChunks(chunkCount) ?? yieldAfterEntries(1);
    if (others !== undefined) await others;
    if (signal.aborted) throw failure(400, 'ABORTED', 'the client is gone');
  }

  return {
    outline,

    async xorb(xorb) {
      const { xorb: inStore } = await stored(xorb.hash);
      checkListedXorb(xorb, inStore);
      const others = yieldAfterChunks(inStore.chunkCount);
      if (others !== undefined) await others;
      outline.addXorb(inStore.hash, inStore.chunkHashes);
      await done(inStore.chunkCount);
    },

    async file(file) {
      if (file.verification === null && file.terms.length > 0 && !options.acceptUnverified) {
        throw rejected(`file ${file.hash} carries no range hashes`);
      }
      const tree = createMerkleTree(hasher);
      const computed: MerkleHash[] = [];
      for (const [number, term] of file.terms.entries()) {
        const named = await stored(term.xorb);
        const proof = checkTerm(hasher, file, number, named);
        if (file.verification === null) computed.push(proof);
        const { chunkHashes, rawEnds } = named.xorb;
        for (let chunk = term.chunkStart; chunk < term.chunkEnd; chunk++) {
          tree.push(chunkHashes, chunk * HASH_BYTES, rawBytesOf(rawEnds, chunk, chunk + 1));
        }
        if (number === 0) {
          await inSteps(outline.addFile(file, chunkHashes, term.chunkStart * HASH_BYTES));
        }
        await done(term.chunkEnd - term.chunkStart);
      }
      const rebuilt = tree.fileHash();
      if (!rebuilt.equals(file.hash)) {
        throw rejected(
          `file reconstruction does not produce this hash: expected ${file.hash}, got ${rebuilt}`,
        );
      }
      return file.verification === null ? { ...file, verification: computed } : file;
    },
  };
}

function checkListedXorb(xorb: ShardXorb, known: CatalogXorb): void {
  const differs = (what: string): Error =>
    rejected(`xorb ${xorb.hash} is stored with other ${what} than the shard lists`);
  if (xorb.chunkLengths.length !== known.chunkCount) throw differs('chunks');
  if (!bytesEqual(xorb.chunkHashes, known.chunkHashes)) throw differs('chunk hashes');
  for (let chunk = 0; chunk < known.chunkCount; chunk++) {
    const start = endOf(known.rawEnds, chunk);
    if (xorb.chunkStarts[chunk] !== start) throw differs('chunk offsets');
    if (xorb.chunkLengths[chunk] !== endOf(known.rawEnds, chunk + 1) - start) {
      throw differs('chunk lengths');
    }
  }
  if (xorb.rawBytes !== endOf(known.rawEnds, known.chunkCount)) throw differs('raw bytes');
}

/** Returns the range hash of the term, which the shard's own must equal. */
function checkTerm(
  hasher: Hasher,
  file: ShardFile,
  number: number,
  { xorb: known, rangeHashes }: KnownXorb,
): MerkleHash {
  const { chunkStart, chunkEnd, unpackedBytes, xorb } = file.terms[number] as ShardTerm;
  const term = `term ${number} of file ${file.hash}`;
  if (chunkStart >= chunkEnd || chunkEnd > known.chunkCount) {
    throw rejected(
      `${term} names chunks [${chunkStart}, ${chunkEnd}) of xorb ${xorb}, which has ${known.chunkCount}`,
    );
  }
  const rawBytes = rawBytesOf(known.rawEnds, chunkStart, chunkEnd);
  if (unpackedBytes !== rawBytes) {
    throw rejected(`${term} expected ${rawBytes} unpacked bytes, got ${unpackedBytes}`);
  }
  // The zeros of a disk image are one range, named thousands of times.
  const range = chunkStart * 2 ** 26 + chunkEnd;
  let computed = rangeHashes.get(range);
  if (computed === undefined) {
    computed = rangeHash(hasher, known.chunkHashes, chunkStart, chunkEnd);
    if (rangeHashes.size === KEPT_RANGE_HASHES) rangeHashes.clear();
    rangeHashes.set(range, computed);
  }
  const claimed = file.verification?.[number];
  if (file.verification !== null && claimed?.equals(computed) !== true) {
    throw rejected(`${term} has a range hash that its chunks do not give`);
  }
  return computed;
}
