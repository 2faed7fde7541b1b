import type { Digests } from '../../../digests/ports.js';

/**
 * Which importer a CID can come from. Nobody says which one the service uses, so it is classified and
 * not enforced: integrity is decided by hash and size.
 */
export type CidProfile = 'raw' | 'raw-256KiB-174' | 'unixfs-v1-2025' | 'unknown';

/** Up to one leaf of 256 KiB all importers agree, and it is called `raw`. */
export function cidProfileOf(cid: string, digests: Digests): CidProfile {
  if (cid === digests.cidRaw) return 'raw';
  if (cid === digests.cid256KiB174) return 'raw-256KiB-174';
  if (cid === digests.cid1MiB1024) return 'unixfs-v1-2025';
  return 'unknown';
}
