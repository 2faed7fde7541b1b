import { hexDecode } from '../bytes/index.js';

/**
 * The four BLAKE3 keys of the protocol, 32 bytes each, in plain byte order. They are shared
 * arrays: nobody writes to them. Origin: xet-core `merklehash/data_hash.rs` (data, internal node),
 * `metadata_shard/chunk_verification.rs` (verification); the file key is the default salt.
 */

/** Key of chunk hashes (input: the uncompressed chunk) and of local shard names. */
export const DATA_KEY: Uint8Array = hexDecode(
  '6697f5775b9550de3135cbaca597181c9de421109beb2b58b4d0b04b93adf229',
);

/** Key of inner tree nodes (input: one text line per child). */
export const INTERNAL_NODE_KEY: Uint8Array = hexDecode(
  '017ec5c7a5472996fd946666b48a02e65ddd536f37c76dd2f86352e64a53713f',
);

/**
 * Key of file hashes, the default salt: 32 zero bytes. (BLAKE3 keyed with zeros is not the unkeyed
 * BLAKE3.)
 */
export const FILE_KEY: Uint8Array = new Uint8Array(32);

/** Key of range hashes, by which a shard proves that its sender knows the chunks of a term. */
export const VERIFICATION_KEY: Uint8Array = hexDecode(
  '7f1857d6ce56ed66127ff913e7a5c3f3a4cd26d5b5db49e64124987f28fb94c3',
);
