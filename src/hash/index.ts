export { createReadableBlake3 } from './blake3.js';
export { Crc64Nvme, crc64nvme } from './crc64-nvme.js';
export { DATA_KEY, FILE_KEY, INTERNAL_NODE_KEY, VERIFICATION_KEY } from './keys.js';
export { HASH_BYTES, MerkleHash } from './merkle-hash.js';
export { compareHashes, isDedupEligible, isGlobalDedupEligible } from './order.js';
export type { Hasher } from './ports.js';
export { sha256ToShardBytes, shardBytesToSha256 } from './sha256-form.js';
export { chunkHash, keyedChunkHash, rangeHash } from './single.js';
export {
  buildSubtree,
  type MerkleSubtree,
  mergeSubtrees,
  type SubtreeEnds,
  type SubtreeLevel,
  subtreeRoot,
  subtreeSizeBytes,
} from './subtree.js';
export { createSubtreeBuilder, type SubtreeBuilder } from './subtree-builder.js';
export { type SubtreeJson, subtreeFromJSON, subtreeToJSON } from './subtree-json.js';
export type { SubtreeNode } from './subtree-split.js';
export {
  createMerkleTree,
  fileHash,
  fileHashOfRoot,
  type MerkleTree,
  merkleRoot,
  xorbHash,
} from './tree.js';
