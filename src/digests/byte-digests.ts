import { createHash } from 'node:crypto';
import { createChunkHasher } from '../chunker/index.js';
import type { GearScanner } from '../chunker/ports.js';
import { createMerkleTree, DATA_KEY, HASH_BYTES } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';

/**
 * Everything that has to see every byte of a file, and nothing else: what runs on a thread. Content
 * identifiers are made of the leaf hashes by {@link dagCid}, wherever there is time for it.
 */

/** What can be computed of the bytes themselves. */
export type ByteDigestName =
  | 'md5'
  | 'md5Ends'
  | 'sha256'
  | 'leaves256KiB'
  | 'leaves1MiB'
  | 'fileHash';

/** `md5Ends` is defined above this size: the server's own constant, after its 32-bit overflow. */
export const MD5_ENDS_ABOVE_BYTES: number = 1024 ** 3;
/** How much of each end it covers. */
export const MD5_END_BYTES: number = 1024 ** 2;

/** Bytes of a leaf of the two kinds of DAG. */
export const LEAF_BYTES: { readonly leaves256KiB: number; readonly leaves1MiB: number } = {
  leaves256KiB: 256 * 1024,
  leaves1MiB: 1024 * 1024,
};

/** One digest in the making, for one thread. */
export interface ByteDigest {
  /** Borrows the bytes for the call; they may lie in shared memory. */
  update(bytes: Uint8Array): void;
  /** SHA-256 digests of leaves that became complete since the last call, 32 bytes each. */
  takeLeaves?(): Uint8Array;
  /** The digest; null when it is not defined for this content, or consists of leaves. */
  finish(): Uint8Array | null;
}

/** Kernels for the file hash. */
export interface DigestKernels {
  readonly scanner: GearScanner;
  readonly hasher: Hasher;
}

/** @param kernels needed for `fileHash` only */
export function createByteDigest(name: ByteDigestName, kernels: DigestKernels | null): ByteDigest {
  switch (name) {
    case 'md5':
    case 'sha256':
      return plainDigest(name);
    case 'md5Ends':
      return endsDigest();
    case 'leaves256KiB':
    case 'leaves1MiB':
      return leafDigest(LEAF_BYTES[name]);
    case 'fileHash':
      if (kernels === null) throw new TypeError('"kernels" expected some for fileHash, got none');
      return fileHashDigest(kernels);
  }
}

function plainDigest(algorithm: string): ByteDigest {
  const hash = createHash(algorithm);
  return {
    update(bytes) {
      hash.update(bytes);
    },
    finish: () => new Uint8Array(hash.digest()),
  };
}

/** MD5 of the first MiB followed by the last MiB, which is only known at the end. */
function endsDigest(): ByteDigest {
  const hash = createHash('md5');
  //  tail: a ring; `sizeBytes % MD5_END_BYTES` is where the next byte goes, and the oldest one lies
  const tail = new Uint8Array(MD5_END_BYTES);
  let sizeBytes = 0;
  return {
    update(bytes) {
      if (sizeBytes < MD5_END_BYTES) hash.update(bytes.subarray(0, MD5_END_BYTES - sizeBytes));
      let from = Math.max(0, bytes.length - MD5_END_BYTES);
      sizeBytes += from;
      while (from < bytes.length) {
        const at = sizeBytes % MD5_END_BYTES;
        const count = Math.min(bytes.length - from, MD5_END_BYTES - at);
        tail.set(bytes.subarray(from, from + count), at);
        from += count;
        sizeBytes += count;
      }
    },
    finish() {
      if (sizeBytes <= MD5_ENDS_ABOVE_BYTES) return null;
      const at = sizeBytes % MD5_END_BYTES;
      hash.update(tail.subarray(at)).update(tail.subarray(0, at));
      return new Uint8Array(hash.digest());
    },
  };
}

/** SHA-256 of each stretch of `leafBytes`; empty content is one empty leaf. */
function leafDigest(leafBytes: number): ByteDigest {
  let hash = createHash('sha256');
  let filled = 0;
  let any = false;
  let leaves: Uint8Array[] = [];
  const close = (): void => {
    leaves.push(new Uint8Array(hash.digest()));
    hash = createHash('sha256');
    filled = 0;
    any = true;
  };
  return {
    update(bytes) {
      for (let from = 0; from < bytes.length; ) {
        const count = Math.min(bytes.length - from, leafBytes - filled);
        hash.update(bytes.subarray(from, from + count));
        from += count;
        filled += count;
        if (filled === leafBytes) close();
      }
    },
    takeLeaves() {
      const joined = new Uint8Array(HASH_BYTES * leaves.length);
      for (const [i, leaf] of leaves.entries()) joined.set(leaf, HASH_BYTES * i);
      leaves = [];
      return joined;
    },
    finish() {
      if (filled > 0 || !any) close();
      return null;
    },
  };
}

function fileHashDigest({ scanner, hasher }: DigestKernels): ByteDigest {
  const tree = createMerkleTree(hasher);
  const chunks = createChunkHasher({
    scanner,
    hashChunk: (bytes) => {
      const hash = new Uint8Array(HASH_BYTES);
      hasher.keyed(DATA_KEY, bytes, hash, 0);
      return hash;
    },
  });
  const take = (found: ReturnType<typeof chunks.push>): void => {
    for (const { hash, length } of found) tree.push(hash, 0, length);
  };
  return {
    update: (bytes) => take(chunks.push(bytes)),
    finish() {
      take(chunks.finish());
      return tree.fileHash().bytes;
    },
  };
}
