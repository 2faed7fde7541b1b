import { concatBytes } from '../bytes/index.js';
import type { ComputePool, Slab } from '../client/ports.js';
import { ordered, Scope } from '../flow/index.js';
import type { Hasher } from '../hash/ports.js';
import type { Body } from '../http/index.js';
import {
  checkRecordCount,
  checkXorbLength,
  checkXorbRoot,
  RecordWalk,
  type VerifiedXorb,
} from '../xorb/index.js';

/** What receiving a xorb needs of a pool. */
export interface ReceiveHost extends Pick<ComputePool, 'acquire' | 'threads'> {
  readonly hasher: Hasher;
  /** Decodes and hashes the whole records in `slab[start, end)`; 32 bytes per chunk. */
  verifyRecords(slab: Slab, start: number, end: number): Promise<Uint8Array>;
}

/**
 * Takes a serialized xorb as it arrives: the body fills slabs, a full one is given to the
 * caller and then, while more arrives, its whole records to the threads. What the caller is given
 * are the records one after the other, without a footer, each piece borrowed until the next step;
 * nothing of it is proved before the end, where the result is returned.
 *
 * At any time it holds one slab that it fills and those that are being verified, which come back on
 * their own: uploads that wait for memory never wait for each other in a circle. Leaving early gives
 * everything back.
 *
 * @throws OrbweaverError as `verifyXorb` of the xorb module, except that the root is for the caller to
 * compare; `WORKER_FAILED`, `CLOSED`; what `body` throws
 */
export async function* receiveXorbInPool(
  host: ReceiveHost,
  body: Pick<Body, 'fill'>,
): AsyncGenerator<Uint8Array, VerifiedXorb, undefined> {
  const walk = new RecordWalk({ footer: 'stop' });
  const scope = new Scope({ what: 'receiving a xorb' });
  const hashes: Uint8Array[] = [];
  const hashing = ordered<{ readonly slab: Slab; readonly end: number }, Uint8Array>({
    scope,
    limit: Math.max(1, 2 * host.threads),
    run: ({ slab, end }) => host.verifyRecords(slab, 0, end).finally(() => slab.release()),
    commit: (some) => {
      hashes.push(some);
    },
  });
  let received = 0;
  /** Start of a record that did not fit in its slab. */
  let rest: Uint8Array = new Uint8Array(0);
  let slab: Slab | null = null;
  let filled = 0;
  /** End of the whole records in the slab. */
  let whole = 0;
  try {
    for (;;) {
      if (slab === null) {
        [slab] = (await host.acquire(1)) as [Slab];
        slab.bytes.set(rest);
        filled = rest.length;
        whole = 0;
      }
      const { bytes } = slab;
      // A footer is read over itself.
      const came = await body.fill(bytes.subarray(walk.atFooter ? whole : filled));
      if (came === 0) break;
      received += came;
      checkXorbLength(received);
      if (walk.atFooter) continue;
      filled += came;
      whole = walk.advance(bytes, whole, filled);
      if (filled < bytes.length || walk.atFooter) continue;
      // A slab is longer than any record, so there is a whole one in it.
      rest = bytes.slice(whole, filled);
      yield bytes.subarray(0, whole);
      const full = { slab, end: whole };
      slab = null;
      await hashing.push(full);
    }
    walk.end(slab.bytes, whole, filled);
    if (whole > 0) {
      yield slab.bytes.subarray(0, whole);
      const full = { slab, end: whole };
      slab = null;
      await hashing.push(full);
    }
    const table = walk.table();
    checkRecordCount(table.count);
    await hashing.drain();
    return checkXorbRoot(host.hasher, table, concatBytes(hashes));
  } finally {
    slab?.release();
    await scope.settled();
  }
}
