import { LRUCache } from 'lru-cache';
import { Scope } from '../flow/index.js';
import type { MerkleHash } from '../hash/index.js';
import type { BodyBuffers } from './body-buffers.js';
import type { DamageList } from './damage-list.js';
import { damaged, isDamage } from './failures.js';
import type { Keeper } from './keeper.js';
import { bodyOfReader, xorbKey } from './keys.js';
import type { ObjectInfo, ObjectStore, VerifiedXorb, XorbReceiver, XorbVerifier } from './ports.js';
import { createFlights, createTurns } from './turns.js';
import type { CatalogXorb, XorbCatalog } from './xorb-catalog.js';
import { isBytesFault, verifyReceived } from './xorb-verify.js';

/**
 * Whether a stored xorb is what its name says. That is known
 *
 *   - from the gateway that stored it, which had verified every byte, or from reading it once;
 *   - for as long as nothing has written to the object since, which its version tells;
 *   - over restarts, where the store can tell that by itself (`ObjectInfo.intact`).
 *
 * Everybody else's xorb (an older store, a copy made without times, a byte that somebody changed) is
 * read and hashed the first time something is about to refer to it, never on the way of an upload of
 * new data. What bits do on their own, without a write, no version shows: that is for a scrub.
 */
export type XorbState = 'missing' | 'damaged' | 'unproved' | 'sound';

/** Bytes that may still be read to find something out. */
export interface ReadAllowance {
  bytes: number;
}

export interface XorbHealth {
  /** Without reading it. */
  look(hash: MerkleHash): Promise<XorbState>;
  /**
   * The same before a client is told, or stores it again: what is there stays (`keeper.ts`).
   * @throws OrbweaverError 503 while it is being deleted
   */
  tell(hash: MerkleHash): Promise<XorbState>;
  /** Reads an `unproved` one, all of it, if the allowance is enough. */
  prove(hash: MerkleHash, allowance: ReadAllowance): Promise<XorbState>;
  /**
   * The xorb, if it may be referred to: `prove`d, or unproved with a footer that is right. Null when
   * it is not stored.
   * @throws OrbweaverError `INTEGRITY` when it is damaged
   */
  usable(hash: MerkleHash, allowance: ReadAllowance): Promise<CatalogXorb | null>;
  /** It was verified and stored just now. */
  stored(hash: MerkleHash): Promise<void>;
  readonly usedBytes: number;
}

/** Verdicts that are remembered: small, and of xorbs of up to 64 MiB each. */
const MAX_VERDICTS = 65_536;
/** Name, version and the entry around them. */
const VERDICT_BYTES = 256;
/** Xorbs that are read at a time. */
const CONCURRENT_READS = 2;

interface Verdict {
  readonly version: string;
  readonly sound: boolean;
}

export function createXorbHealth(parts: {
  readonly store: ObjectStore;
  readonly xorbs: XorbCatalog;
  readonly verifier: XorbVerifier | XorbReceiver;
  readonly buffers: BodyBuffers;
  readonly keeper: Pick<Keeper, 'keep'>;
  /** What a scrub found. @default nothing */
  readonly damage?: DamageList | undefined;
  /** A xorb turned out to be damaged. */
  readonly onDamage: () => void;
}): XorbHealth {
  const { store, xorbs, verifier, buffers, keeper } = parts;
  // By size and not by `max`, for which it would make lists of that length at once: a megabyte on the
  // heap that has the collector mark all of it again for every few bodies.
  const verdicts = new LRUCache<string, Verdict>({
    maxSize: MAX_VERDICTS,
    sizeCalculation: () => 1,
  });
  const once = createFlights<XorbState>();
  const turns = createTurns(CONCURRENT_READS);

  async function judge(hash: MerkleHash, info: ObjectInfo): Promise<XorbState> {
    if ((await parts.damage?.has(xorbKey(hash), info.version)) === true) return 'damaged';
    if (info.intact) return 'sound';
    const verdict = verdicts.get(hash.toString());
    if (verdict?.version !== info.version) return 'unproved';
    return verdict.sound ? 'sound' : 'damaged';
  }

  async function read(hash: MerkleHash, info: ObjectInfo): Promise<XorbState> {
    const sound = await isSound(hash, info);
    verdicts.set(hash.toString(), { version: info.version, sound });
    if (sound) await store.seal?.(xorbKey(hash), info.version).catch(() => undefined);
    else parts.onDamage();
    return sound ? 'sound' : 'damaged';
  }

  async function isSound(hash: MerkleHash, info: ObjectInfo): Promise<boolean> {
    const reader = await store.open(xorbKey(hash));
    if (reader === null) return false;
    try {
      const known = await xorbs.get(hash, info);
      if (known === null) return false;
      const { recordsBytes, recordEnds } = known;
      const verified =
        'receive' in verifier
          ? await verifyReceived(verifier, bodyOfReader(reader, recordsBytes))
          : await verifyHeld(verifier, hash, recordsBytes, (into) => reader.readAt(into, 0));
      return (
        verified.hash.equals(hash) &&
        verified.recordEnds.length === recordEnds.length &&
        verified.recordEnds.every((end, chunk) => end === recordEnds[chunk])
      );
    } catch (error) {
      if (isBytesFault(error) || isDamage(error)) return false;
      throw error;
    } finally {
      await reader.close();
    }
  }

  async function verifyHeld(
    inMemory: XorbVerifier,
    hash: MerkleHash,
    recordsBytes: number,
    load: (into: Uint8Array) => Promise<void>,
  ): Promise<VerifiedXorb> {
    const buffer = buffers.take();
    try {
      const records = buffer.subarray(0, recordsBytes);
      await load(records);
      return await inMemory.verify(records, hash);
    } finally {
      buffers.giveBack(buffer);
    }
  }

  async function prove(
    hash: MerkleHash,
    info: ObjectInfo | null,
    allowance: ReadAllowance,
  ): Promise<XorbState> {
    if (info === null) return 'missing';
    const state = await judge(hash, info);
    if (state !== 'unproved' || allowance.bytes < info.sizeBytes) return state;
    allowance.bytes -= info.sizeBytes;
    return once(`${hash} ${info.version}`, () => turns.take(new Scope(), () => read(hash, info)));
  }

  async function look(hash: MerkleHash): Promise<XorbState> {
    const info = await store.head(xorbKey(hash));
    return info === null ? 'missing' : judge(hash, info);
  }

  return {
    look,
    async tell(hash) {
      await keeper.keep([xorbKey(hash)]);
      return look(hash);
    },
    prove: async (hash, allowance) => prove(hash, await store.head(xorbKey(hash)), allowance),
    async usable(hash, allowance) {
      const info = await store.head(xorbKey(hash));
      const state = await prove(hash, info, allowance);
      if (state === 'damaged') throw damaged(`xorb ${hash} does not have the bytes of its name`);
      return info === null ? null : xorbs.get(hash, info);
    },
    async stored(hash) {
      xorbs.forget(hash);
      const info = await store.head(xorbKey(hash));
      if (info !== null) verdicts.set(hash.toString(), { version: info.version, sound: true });
    },
    get usedBytes() {
      return verdicts.size * VERDICT_BYTES;
    },
  };
}
