import { OrbweaverError } from '../errors.js';
import { createMerkleTree, HASH_BYTES, type MerkleHash, rangeHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import { XORB_CHUNKS_ACCEPT_MAX } from './constants.js';
import { HashTable } from './hash-table.js';
import type { Shard, ShardFile, ShardXorb } from './types.js';

/**
 * Whether a shard can be true. `verifyShard` looks at the shard alone; `verifyFile` proves one file
 * against the chunks of stored xorbs, as a server has to before it registers anything.
 */

/** What is known of a stored xorb: plain chunk hashes, 32 bytes each, and lengths. */
export interface XorbChunks {
  readonly chunkHashes: Uint8Array;
  readonly chunkLengths: ArrayLike<number>;
}

/**
 * Checks what a shard says about itself: each xorb has chunks, its offsets and sum follow from the
 * lengths; verification is there for all files or none and once per term; terms that name a xorb
 * of this shard lie in it and have its bytes.
 * @throws OrbweaverError `FORMAT_INVALID`, `LIMIT_EXCEEDED`
 *
 * @example
 * verifyShard(decodeShard(bytes)); // throws, or the shard is consistent
 */
export function verifyShard(shard: Shard): void {
  const numbers = new HashTable();
  for (const xorb of shard.xorbs) {
    numbers.add(xorb.hash.bytes, 0);
    verifyXorbEntries(xorb);
  }
  const first = shard.files[0];
  for (const file of shard.files) {
    const name = file.hash.toString();
    if ((file.verification === null) !== (first?.verification === null)) {
      throw invalid('"verification" expected for all files or none, got a mixture', { file: name });
    }
    checkVerificationCount(file);
    if (file.terms.length === 0 && !file.hash.isZero()) {
      throw invalid(`"terms" expected for file ${name}, got none`, { file: name });
    }
    for (const [i, term] of file.terms.entries()) {
      if (term.chunkStart >= term.chunkEnd) throw emptyTerm(name, i);
      const xorb = shard.xorbs[numbers.indexOf(term.xorb.bytes, 0)];
      if (xorb !== undefined) checkTerm(file, i, xorb);
    }
  }
}

function verifyXorbEntries(xorb: ShardXorb): void {
  const name = xorb.hash.toString();
  const count = xorb.chunkLengths.length;
  if (count === 0 || xorb.hash.isZero()) {
    throw invalid(`"chunk count" expected at least 1 in xorb ${name}, got ${count}`, {
      xorb: name,
    });
  }
  if (count > XORB_CHUNKS_ACCEPT_MAX) {
    throw new OrbweaverError(
      'LIMIT_EXCEEDED',
      `"chunk count" expected at most ${XORB_CHUNKS_ACCEPT_MAX} in xorb ${name}, got ${count}`,
      { xorb: name, count },
    );
  }
  let position = 0;
  for (let i = 0; i < count; i++) {
    if (xorb.chunkStarts[i] !== position) {
      throw invalid(
        `"chunk offset" expected ${position} for chunk ${i} of xorb ${name}, got ${xorb.chunkStarts[i]}`,
        { xorb: name, chunk: i },
      );
    }
    position += xorb.chunkLengths[i] as number;
  }
  if (xorb.rawBytes !== position) {
    throw invalid(`"raw bytes" expected ${position} in xorb ${name}, got ${xorb.rawBytes}`, {
      xorb: name,
    });
  }
}

/**
 * Proves that `file` is what its terms give: every term lies in its xorb and has its bytes, every
 * range hash matches the stored chunk hashes, and the chunks of all terms in order have the file
 * hash. Takes time and memory linear in the chunks, O(log n) beside the lists that `xorbOf` gives.
 *
 * @param xorbOf the stored chunks of a xorb, or null when it is not stored
 * @returns bytes and chunks of the file
 * @throws OrbweaverError `NOT_FOUND` for a xorb that is not stored, `FORMAT_INVALID` for a term
 * outside of its xorb, without verification or with other bytes, `INTEGRITY` for a hash that does
 * not match.
 *
 * @example
 * const { sizeBytes } = verifyFile(hasher, file, (xorb) => stored.get(xorb.toString()) ?? null);
 */
export function verifyFile(
  hasher: Hasher,
  file: ShardFile,
  xorbOf: (xorb: MerkleHash) => XorbChunks | null,
): { readonly sizeBytes: number; readonly chunkCount: number } {
  const name = file.hash.toString();
  if (file.verification === null) {
    throw invalid(`"verification" expected for file ${name}, got none`, { file: name });
  }
  checkVerificationCount(file);
  const tree = createMerkleTree(hasher);
  for (const [i, term] of file.terms.entries()) {
    const xorb = xorbOf(term.xorb);
    if (xorb === null) {
      throw new OrbweaverError(
        'NOT_FOUND',
        `xorb ${term.xorb} of term ${i} of file ${name} is not stored`,
        { xorb: term.xorb.toString(), file: name, term: i },
      );
    }
    checkTerm(file, i, xorb);
    const expected = file.verification[i];
    const actual = rangeHash(hasher, xorb.chunkHashes, term.chunkStart, term.chunkEnd);
    if (expected === undefined || !actual.equals(expected)) {
      throw new OrbweaverError(
        'INTEGRITY',
        `"verification" of term ${i} of file ${name} expected ${actual}, got ${expected}`,
        { file: name, term: i },
      );
    }
    for (let chunk = term.chunkStart; chunk < term.chunkEnd; chunk++) {
      tree.push(xorb.chunkHashes, chunk * HASH_BYTES, xorb.chunkLengths[chunk] as number);
    }
  }
  const actual = tree.fileHash();
  if (!actual.equals(file.hash)) {
    throw new OrbweaverError(
      'INTEGRITY',
      `terms of file ${name} expected to give its hash, they give ${actual}`,
      { file: name, actual: actual.toString() },
    );
  }
  return { sizeBytes: tree.sizeBytes, chunkCount: tree.count };
}

function checkVerificationCount(file: ShardFile): void {
  const count = file.verification?.length ?? file.terms.length;
  if (count !== file.terms.length) {
    throw invalid(
      `"verification" expected ${file.terms.length} hashes for file ${file.hash}, got ${count}`,
      { file: file.hash.toString() },
    );
  }
}

/** Term `i` lies in `xorb` and has as many bytes as its chunks. */
function checkTerm(file: ShardFile, i: number, xorb: Pick<XorbChunks, 'chunkLengths'>): void {
  const term = file.terms[i];
  const name = file.hash.toString();
  const count = xorb.chunkLengths.length;
  if (term === undefined || term.chunkStart >= term.chunkEnd) throw emptyTerm(name, i);
  if (term.chunkEnd > count) {
    throw invalid(
      `"chunk end" of term ${i} of file ${name} expected at most ${count}, got ${term.chunkEnd}`,
      { file: name, term: i },
    );
  }
  let bytes = 0;
  for (let chunk = term.chunkStart; chunk < term.chunkEnd; chunk++) {
    bytes += xorb.chunkLengths[chunk] as number;
  }
  if (bytes !== term.unpackedBytes) {
    throw invalid(
      `"unpacked bytes" of term ${i} of file ${name} expected ${bytes}, got ${term.unpackedBytes}`,
      { file: name, term: i },
    );
  }
}

function emptyTerm(file: string, term: number): OrbweaverError {
  return invalid(`"chunk end" of term ${term} of file ${file} expected after its start`, {
    file,
    term,
  });
}

function invalid(message: string, fields: Record<string, string | number>): OrbweaverError {
  return new OrbweaverError('FORMAT_INVALID', message, fields);
}
