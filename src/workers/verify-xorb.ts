import type { ComputePool, Slab } from '../client/ports.js';
import { HASH_BYTES, type MerkleHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import { checkXorbRoot, readXorbRecords, type VerifiedXorb } from '../xorb/index.js';

const WORD_BYTES = 8;

/** What xorb verification needs of a pool. */
export interface VerifyHost extends Pick<ComputePool, 'slabBytes' | 'threads' | 'acquire'> {
  readonly hasher: Hasher;
  /** Decodes and hashes the whole records in `slab[start, end)`; 32 bytes per chunk. */
  verifyRecords(slab: Slab, start: number, end: number): Promise<Uint8Array>;
}

/**
 * Verifies a serialized xorb with all threads of a pool: the headers are walked here, runs of whole
 * records are copied into slabs, and the chunk hashes come back from the workers. At most two slabs
 * per thread are taken, each on its own, so that this can never wait for itself.
 *
 * @throws OrbweaverError as `verifyXorb` of the xorb room; `WORKER_FAILED`, `CLOSED`
 */
export async function verifyXorbInPool(
  host: VerifyHost,
  bytes: Uint8Array,
  expected?: MerkleHash,
): Promise<VerifiedXorb> {
  const table = readXorbRecords(bytes);
  const { count, recordEnds } = table;
  const chunkHashes = new Uint8Array(HASH_BYTES * count);

  let next = 0;
  let failed = false;
  const worker = async (): Promise<void> => {
    while (next < count && !failed) {
      const first = next;
      const start = first === 0 ? 0 : (recordEnds[first - 1] as number);
      let last = first + 1;
      const roomBytes = host.slabBytes - WORD_BYTES;
      while (last < count && (recordEnds[last] as number) - start <= roomBytes) last++;
      next = last;
      const [slab] = (await host.acquire(1)) as [Slab];
      try {
        const end = recordEnds[last - 1] as number;
        // At the same place in a word as in the body: V8 copies into shared memory by words only
        // then, and byte by byte otherwise, which costs more than the hashes.
        const { bytes: target } = slab;
        const inWord = (bytes.byteOffset + start - target.byteOffset) & (WORD_BYTES - 1);
        target.set(bytes.subarray(start, end), inWord);
        const hashes = await host.verifyRecords(slab, inWord, inWord + end - start);
        chunkHashes.set(hashes, HASH_BYTES * first);
      } catch (error) {
        failed = true;
        throw error;
      } finally {
        slab.release();
      }
    }
  };
  const workers = Array.from({ length: Math.max(1, 2 * host.threads) }, worker);
  const results = await Promise.allSettled(workers);
  for (const result of results) if (result.status === 'rejected') throw result.reason;

  return checkXorbRoot(host.hasher, table, chunkHashes, expected);
}
