import { HASH_BYTES } from '../hash/index.js';
import type { ShardFile } from '../shard/index.js';
import { type FinishedFile, TERM_FIELDS } from './finished-files.js';
import type { FileSummary } from './types.js';
import type { XorbRegistry } from './xorb-registry.js';

/**
 * A file as the record of an earlier upload describes it, for the shards of this session: nothing of it
 * is read, and the store proves every term again when it is registered.
 * @throws TypeError for a record without verification
 */
export function adoptedFile(
  { hash, terms, verification, sha256 }: ShardFile,
  registry: XorbRegistry,
): { readonly file: FinishedFile; readonly summary: FileSummary } {
  if (verification === null) throw new TypeError('"file" expected a record with verification');
  const packed = new Uint32Array(TERM_FIELDS * terms.length);
  const hashes = new Uint8Array(HASH_BYTES * terms.length);
  let sizeBytes = 0;
  let chunkCount = 0;
  for (const [i, { xorb, chunkStart, chunkEnd, unpackedBytes }] of terms.entries()) {
    packed.set([registry.idOf(xorb), chunkStart, chunkEnd, unpackedBytes], TERM_FIELDS * i);
    hashes.set(verification[i]?.bytes ?? new Uint8Array(HASH_BYTES), HASH_BYTES * i);
    sizeBytes += unpackedBytes;
    chunkCount += chunkEnd - chunkStart;
  }
  return {
    file: { hash, terms: packed, verification: hashes, sha256 },
    summary: {
      ...{ fileHash: hash, sizeBytes, chunkCount, termCount: terms.length },
      ...{ newBytes: 0, newChunks: 0, dedupedBytes: sizeBytes, dedupedChunks: chunkCount },
      ...{ sessionBytes: 0, localBytes: sizeBytes, globalBytes: 0, refusedBytes: 0 },
    },
  };
}
