/**
 * A SHA-256 digest lies in a shard with each group of 8 bytes reversed, because the reference
 * client parses the usual digest text by the rule of its own hashes. Turning it and turning it
 * back are the same step; two names keep call sites readable.
 */

/** The 32 bytes stored in a shard for a plain digest (a new array). @throws RangeError */
export function sha256ToShardBytes(digest: Uint8Array): Uint8Array {
  return reverseGroups(digest, 'digest');
}

/** The plain digest of 32 bytes stored in a shard (a new array). @throws RangeError */
export function shardBytesToSha256(stored: Uint8Array): Uint8Array {
  return reverseGroups(stored, 'stored');
}

function reverseGroups(bytes: Uint8Array, field: string): Uint8Array {
  if (bytes.length !== 32) {
    throw new RangeError(`"${field}" expected 32 bytes, got ${bytes.length}`);
  }
  const out = new Uint8Array(32);
  for (let i = 0; i < 32; i++) out[i] = bytes[i ^ 7] as number;
  return out;
}
