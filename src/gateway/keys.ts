import type { MerkleHash } from '../hash/index.js';

/**
 * Where each thing lies in the object store. Everything is named by content, so every write may be
 * repeated, and two gateways over one store never disagree.
 *
 *   xorbs/<xorb>            chunk records and the footer that was rebuilt here
 *   shards/<shard>          a registered shard as written again here, named by its data-key hash
 *   chunks/<chunk>/<shard>  empty: this shard can answer a dedup query for this chunk
 *   files/<file>            the file's terms; written last, so a file exists when all it needs does
 */
export const xorbKey = (hash: MerkleHash): string => `xorbs/${hash}`;
export const shardObjectKey = (hash: MerkleHash): string => `shards/${hash}`;
export const fileKey = (hash: MerkleHash): string => `files/${hash}`;
export const chunkPrefix = (chunk: MerkleHash): string => `chunks/${chunk}/`;
export const chunkKey = (chunk: MerkleHash, shard: MerkleHash): string =>
  `chunks/${chunk}/${shard}`;
