import { MerkleHash } from '../formats.js';

/** Hashes of a command line. @throws OrbweaverError `HASH_INVALID` */
export function parseHashes(texts: readonly string[]): MerkleHash[] {
  return texts.map((text) => MerkleHash.parse(text));
}
