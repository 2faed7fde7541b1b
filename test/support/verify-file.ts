import { OrbweaverError } from '../../src/errors.js';
import { createMerkleTree, HASH_BYTES, type MerkleHash, rangeHash } from '../../src/hash/index.js';
import type { Hasher } from '../../src/hash/ports.js';
import type { ShardFile } from '../../src/shard/index.js';

/** What is known of a stored xorb: plain chunk hashes, 32 bytes each, and lengths. */
export interface StoredChunks {
  readonly chunkHashes: Uint8Array;
  readonly chunkLengths: ArrayLike<number>;
}

/**
 * The plain form of what a server has to check (`gateway/shard-check.ts`): every term lies in its xorb and
 * has its bytes, every range hash matches, and the chunks of all terms in order have the file hash.
 *
 * @throws OrbweaverError `NOT_FOUND` for a xorb that is not stored, `INTEGRITY` for all else
 */
export function verifyFile(
  hasher: Hasher,
  { hash, terms, verification }: ShardFile,
  xorbOf: (xorb: MerkleHash) => StoredChunks | null,
): { readonly sizeBytes: number; readonly chunkCount: number } {
  const wrong = (what: string): Error =>
    new OrbweaverError('INTEGRITY', `file ${hash}: ${what}`, { file: hash.toString() });
  if (verification?.length !== terms.length) throw wrong('not one range hash for each term');
  const tree = createMerkleTree(hasher);
  for (const [i, { xorb, chunkStart, chunkEnd, unpackedBytes }] of terms.entries()) {
    const stored = xorbOf(xorb);
    if (stored === null) throw new OrbweaverError('NOT_FOUND', `xorb ${xorb} is not stored`, {});
    const { chunkHashes, chunkLengths } = stored;
    if (chunkStart >= chunkEnd || chunkEnd > chunkLengths.length)
      throw wrong(`chunks of term ${i}`);
    const before = tree.sizeBytes;
    for (let chunk = chunkStart; chunk < chunkEnd; chunk++) {
      tree.push(chunkHashes, chunk * HASH_BYTES, chunkLengths[chunk] as number);
    }
    if (tree.sizeBytes - before !== unpackedBytes) throw wrong(`bytes of term ${i}`);
    const proof = rangeHash(hasher, chunkHashes, chunkStart, chunkEnd);
    if (verification[i]?.equals(proof) !== true) throw wrong(`range hash of term ${i}`);
  }
  if (!tree.fileHash().equals(hash)) throw wrong(`its terms give ${tree.fileHash()}`);
  return { sizeBytes: tree.sizeBytes, chunkCount: tree.count };
}
