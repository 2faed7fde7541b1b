import { bytesEqual } from '../bytes/index.js';
import {
  createMerkleTree,
  HASH_BYTES,
  isGlobalDedupEligible,
  MerkleHash,
  rangeHash,
} from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import type { ShardFile, ShardTerm, ShardXorb } from '../shard/index.js';
import { failure, rejected } from './failures.js';
import type { UploadedShard } from './shard-intake.js';
import { pause } from './streams.js';
import { type CatalogXorb, endOf, rawBytesOf, type XorbCatalog } from './xorb-catalog.js';

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
  readonly files: readonly ShardFile[];
  /** Without the flags that the client set: the stored form gets its own. */
  readonly xorbs: readonly ShardXorb[];
  /** Chunks for which this shard answers dedup queries, each once. */
  readonly indexedChunks: readonly MerkleHash[];
}

export interface ShardCheckOptions {
  readonly catalog: XorbCatalog;
  readonly hasher: Hasher;
  readonly acceptUnverified: boolean;
  readonly signal: AbortSignal;
  /** Listed xorbs and terms, checked and in all. */
  readonly onProgress?: (verified: number, total: number) => void;
}

/** Chunks between two pauses: some milliseconds of hashing. */
const CHUNKS_PER_TURN = 16_384;

/** @throws OrbweaverError 400 with the first thing that is wrong */
export async function checkShard(
  shard: UploadedShard,
  options: ShardCheckOptions,
): Promise<CheckedShard> {
  const check = createCheck(shard, options);
  for (const xorb of shard.xorbs) await check.xorb(xorb);
  const files: ShardFile[] = [];
  for (const file of shard.files) files.push(await check.file(file));
  const xorbs = shard.xorbs.map((xorb) => ({
    ...xorb,
    chunkFlags: new Uint32Array(xorb.chunkLengths.length),
  }));
  return { files, xorbs, indexedChunks: [...check.indexedChunks.values()] };
}

interface Check {
  xorb(xorb: ShardXorb): Promise<void>;
  file(file: ShardFile): Promise<ShardFile>;
  /** By hash text. */
  readonly indexedChunks: ReadonlyMap<string, MerkleHash>;
}

function createCheck(shard: UploadedShard, options: ShardCheckOptions): Check {
  const { catalog, hasher, signal, onProgress } = options;
  const indexedChunks = new Map<string, MerkleHash>();
  const total = shard.xorbs.length + shard.files.reduce((sum, file) => sum + file.terms.length, 0);
  let verified = 0;
  let chunksThisTurn = 0;
  let latest: CatalogXorb | null = null;

  async function stored(hash: MerkleHash): Promise<CatalogXorb> {
    // Runs of terms of one xorb are the rule.
    if (latest?.hash.equals(hash) === true) return latest;
    const xorb = await catalog.get(hash);
    if (xorb === null) throw rejected(`xorb ${hash} is not stored: upload it before the shard`);
    latest = xorb;
    return xorb;
  }
  async function done(chunkCount: number): Promise<void> {
    onProgress?.(++verified, total);
    chunksThisTurn += chunkCount;
    if (chunksThisTurn < CHUNKS_PER_TURN) return;
    chunksThisTurn = 0;
    await pause();
    if (signal.aborted) throw failure(400, 'ABORTED', 'the client is gone');
  }
  function index(hashes: Uint8Array, offset: number): void {
    const hash = MerkleHash.from(hashes, offset);
    indexedChunks.set(hash.toString(), hash);
  }

  return {
    indexedChunks,

    async xorb(xorb: ShardXorb): Promise<void> {
      const known = await stored(xorb.hash);
      checkListedXorb(xorb, known);
      for (let at = 0; at < known.chunkHashes.length; at += HASH_BYTES) {
        if (isGlobalDedupEligible(known.chunkHashes, at)) index(known.chunkHashes, at);
      }
      await done(known.chunkCount);
    },

    async file(file: ShardFile): Promise<ShardFile> {
      if (file.verification === null && file.terms.length > 0 && !options.acceptUnverified) {
        throw rejected(`file ${file.hash} carries no range hashes`);
      }
      const tree = createMerkleTree(hasher);
      const verification: MerkleHash[] = [];
      for (const [number, term] of file.terms.entries()) {
        const known = await stored(term.xorb);
        verification.push(checkTerm(hasher, file, number, known));
        for (let chunk = term.chunkStart; chunk < term.chunkEnd; chunk++) {
          const length = rawBytesOf(known.rawEnds, chunk, chunk + 1);
          tree.push(known.chunkHashes, chunk * HASH_BYTES, length);
        }
        if (number === 0) index(known.chunkHashes, term.chunkStart * HASH_BYTES);
        await done(term.chunkEnd - term.chunkStart);
      }
      const rebuilt = tree.fileHash();
      if (!rebuilt.equals(file.hash)) {
        throw rejected(
          `file reconstruction does not produce this hash: expected ${file.hash}, got ${rebuilt}`,
        );
      }
      return { ...file, verification };
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
  known: CatalogXorb,
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
  const computed = rangeHash(hasher, known.chunkHashes, chunkStart, chunkEnd);
  const claimed = file.verification?.[number];
  if (file.verification !== null && claimed?.equals(computed) !== true) {
    throw rejected(`${term} has a range hash that its chunks do not give`);
  }
  return computed;
}
