import PQueue from 'p-queue';
import type { DedupSession } from '../../dedup/index.js';
import { isOrbweaverError } from '../../errors.js';
import type { Scope } from '../../flow/index.js';
import type { MerkleHash } from '../../hash/index.js';
import { decodeShard, type HashTable } from '../../shard/index.js';
import type { XorbStore } from '../ports.js';

/** Questions at once whether a xorb is still there. */
const CHECK_CONCURRENCY = 32;
/** Xorbs that are read from the journal at once, so that not all of them are in memory twice. */
const BATCH_XORBS = 256;
/** After this long no more questions are asked, milliseconds. */
const CHECK_TIMEOUT_MS = 30_000;

export interface ResumeOptions {
  readonly dedup: DedupSession;
  /** Says whether xorbs are still there. */
  readonly store: Pick<XorbStore, 'hasXorb'>;
  readonly scope: Scope;
  /** Gets those that are there for certain. */
  readonly acknowledged: HashTable;
  /**
   * Whether a xorb counts that the store says nothing about. If it is gone, the store refuses the
   * files that name it, and they are uploaded again, which needs sources that can be read twice.
   */
  readonly trusts: boolean;
}

/** What became of the xorbs of an interrupted run. Bytes are serialized. */
export interface Resumed {
  /** Used again. */
  readonly xorbCount: number;
  readonly xorbBytes: number;
  /** Gone from the store, or not to be relied on. */
  readonly lostCount: number;
}

/**
 * Takes the xorbs that an interrupted run of the same upload has stored, each as a plain shard of one
 * xorb. The store is asked for each: one that is not there any more is not used. A store that does
 * not offer the question says no to all of them, which is no reason to send everything again: such
 * xorbs are used when that can be mended ({@link ResumeOptions.trusts}).
 *
 * @throws OrbweaverError the reason of the scope
 */
export async function resumeXorbs(
  shards: AsyncIterable<Uint8Array>,
  options: ResumeOptions,
): Promise<Resumed> {
  const { dedup, scope, acknowledged, trusts } = options;
  const check = storeCheck(options);
  let xorbCount = 0;
  let xorbBytes = 0;
  let lostCount = 0;
  /** Those that the store has denied while it had confirmed none. */
  let doubtful: Xorb[] = [];
  let isOffered = false;
  const use = ({ hash, bytes, serializedBytes }: Xorb, isCertain: boolean): void => {
    dedup.resumeXorbs(bytes);
    if (isCertain) acknowledged.add(hash.bytes, 0);
    xorbCount++;
    xorbBytes += serializedBytes;
  };
  try {
    for await (const batch of batchesOf(shards)) {
      const found = await Promise.all(batch.map(check.ask));
      scope.check();
      isOffered ||= found.includes('stored');
      for (const [i, xorb] of batch.entries()) {
        if (found[i] === 'stored') use(xorb, true);
        else if (found[i] === 'denied') doubtful.push(xorb);
        else if (trusts) use(xorb, false);
        else lostCount++;
      }
      if (isOffered) {
        lostCount += doubtful.length;
        doubtful = [];
      }
    }
    for (const xorb of doubtful) {
      if (trusts) use(xorb, false);
      else lostCount++;
    }
  } finally {
    check.end();
  }
  return { xorbCount, xorbBytes, lostCount };
}

interface Xorb {
  readonly hash: MerkleHash;
  readonly serializedBytes: number;
  /** The shard that lists it. */
  readonly bytes: Uint8Array;
}

async function* batchesOf(shards: AsyncIterable<Uint8Array>): AsyncGenerator<Xorb[]> {
  let batch: Xorb[] = [];
  for await (const bytes of shards) {
    const xorb = xorbOf(bytes);
    if (xorb !== null) batch.push(xorb);
    if (batch.length < BATCH_XORBS) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** Null: no shard of one xorb. */
function xorbOf(bytes: Uint8Array): Xorb | null {
  try {
    const { xorbs } = decodeShard(bytes);
    const [xorb] = xorbs;
    if (xorb === undefined || xorbs.length > 1) return null;
    return { hash: xorb.hash, serializedBytes: xorb.serializedBytes, bytes };
  } catch (error) {
    if (!isOrbweaverError(error)) throw error;
    return null;
  }
}

type Found = 'stored' | 'denied' | 'unknown';

/** Asks the store until it took too long; what is asked after that is unknown. */
function storeCheck({ store, scope }: ResumeOptions): {
  ask: (xorb: Xorb) => Promise<Found>;
  end: () => void;
} {
  const queue = new PQueue({ concurrency: CHECK_CONCURRENCY });
  const asking = scope.child();
  const stop = asking.after(CHECK_TIMEOUT_MS, () => asking.end('it took too long'));
  const { hasXorb } = store;
  return {
    ask: async ({ hash }) => {
      if (hasXorb === undefined) return 'unknown';
      const ask = async (): Promise<Found> => {
        if (asking.ended) return 'unknown';
        const isThere = await asking.call((signal) => hasXorb.call(store, hash, signal));
        return isThere ? 'stored' : 'denied';
      };
      return queue.add(ask).catch(() => 'unknown');
    },
    end: () => {
      stop();
      asking.close();
    },
  };
}
