import {
  type ByteDigest,
  type ByteDigestName,
  createByteDigest,
  type DigestKernels,
} from './byte-digests.js';

/** The digests of one group of one file, as a thread keeps them. */

/** SHA-256 digests of leaves that became complete, by kind. */
export type LeafHashes = Readonly<Partial<Record<'leaves256KiB' | 'leaves1MiB', Uint8Array>>>;

/** Byte digests by name; null where one is not defined for this content. */
export type ByteDigests = Readonly<Partial<Record<ByteDigestName, Uint8Array | null>>>;

export interface DigestRunner {
  /** Borrows the bytes for the call. */
  update(bytes: Uint8Array): LeafHashes;
  finish(): { readonly digests: ByteDigests; readonly leaves: LeafHashes };
}

/** @param kernels needed for `fileHash` only */
export function createDigestRunner(
  names: readonly ByteDigestName[],
  kernels: DigestKernels | null,
): DigestRunner {
  const digests = names.map((name): [ByteDigestName, ByteDigest] => [
    name,
    createByteDigest(name, kernels),
  ]);
  const takeLeaves = (): LeafHashes => {
    const leaves: Partial<Record<ByteDigestName, Uint8Array>> = {};
    for (const [name, digest] of digests) {
      const taken = digest.takeLeaves?.();
      if (taken !== undefined && taken.length > 0) leaves[name] = taken;
    }
    return leaves as LeafHashes;
  };
  return {
    update(bytes) {
      for (const [, digest] of digests) digest.update(bytes);
      return takeLeaves();
    },
    finish() {
      const made: Partial<Record<ByteDigestName, Uint8Array | null>> = {};
      for (const [name, digest] of digests) made[name] = digest.finish();
      return { digests: made, leaves: takeLeaves() };
    },
  };
}
