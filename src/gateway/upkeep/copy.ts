import type { BlockCodec } from '../../compress/ports.js';
import type { Clock } from '../../flow/index.js';
import { throwIfAborted } from '../../flow/index.js';
import type { MerkleHash } from '../../hash/index.js';
import type { Hasher } from '../../hash/ports.js';
import { checkOptions, is } from '../../options/index.js';
import { SYSTEM_CLOCK } from '../../platform/index.js';
import { type ShardFile, shardKey } from '../../shard/index.js';
import { isDamage } from '../failures.js';
import { xorbKey } from '../keys.js';
import type { ObjectStore } from '../ports.js';
import { createStoreIndex } from '../store-index.js';
import { type Carrier, createCarrier } from './carry.js';
import { beginHubCopy } from './copy-hub.js';
import { objectsInOrder } from './in-order.js';
import { LiveSet } from './live-set.js';
import { hashOfKey } from './reach.js';
import { filesOf } from './scrub-files.js';

export interface CopyOptions {
  readonly hasher: Hasher;
  readonly codec: BlockCodec;
  /** @default the clock of the machine */
  readonly clock?: Clock | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a copy did. */
export interface Copied {
  /** Files that the other store has now and had not. */
  readonly files: number;
  /** Files that it had. */
  readonly knownFiles: number;
  /** Xorbs that were copied. */
  readonly xorbs: number;
  readonly bytes: number;
  /**
   * Files that were left out, because something of them is damaged or missing, and keys of damaged trees
   * and commits of repositories.
   */
  readonly failed: readonly string[];
}

/** Files that one made shard registers. */
const FILES_AT_A_TIME = 1024;
const COUNTED_BYTES = 256 * 1024 * 1024;

/**
 * Copies all files of a store, with what they need and nothing else, and all repositories into another one,
 * which may have files of its own. Every xorb, shard, tree and commit is hashed on the way. What is there is
 * not copied again, so a copy that was interrupted goes on where it stopped when it is started again;
 * gateways may work on both. Repositories that are there are brought to what `from` has.
 */
export async function copyStore(
  from: ObjectStore,
  to: ObjectStore,
  options: CopyOptions,
): Promise<Copied> {
  checkOptions('copyStore', options, {
    hasher: is.required(is.object),
    codec: is.required(is.object),
    clock: is.object,
    signal: is.signal,
  });
  const { hasher, clock = SYSTEM_CLOCK, signal = new AbortController().signal } = options;
  const index = createStoreIndex({ store: from, hasher, clock });
  const carrier = createCarrier({ ...options, store: to, clock });
  const hub = await beginHubCopy({ from, to, hasher, clock, signal });
  const run = createRun({ from, carrier, signal });
  for await (const { key } of objectsInOrder(from, 'shards/')) {
    throwIfAborted(signal, 'the copy');
    const bytes = await from.read(key);
    const hash = hashOfKey(key);
    // A damaged shard says nothing; its files come by themselves.
    if (bytes === null || hash === null || !shardKey(hasher, bytes).equals(hash)) continue;
    const records: ShardFile[] = [];
    for (const { hash: file } of await filesOf(from, key)) {
      const record = await index.file(file).catch(nullIfDamaged);
      if (record !== null) records.push(record);
    }
    await run.copy(records, bytes);
  }
  // Files whose shards are gone, and those whose records cannot be read.
  let batch: ShardFile[] = [];
  for await (const { hash } of index.files()) {
    throwIfAborted(signal, 'the copy');
    if (await run.isKnown(hash)) continue;
    const record = await index.file(hash).catch(nullIfDamaged);
    if (record === null) run.fail(hash);
    else if (batch.push(record) === FILES_AT_A_TIME) {
      await run.copy(batch);
      batch = [];
    }
  }
  await run.copy(batch);
  const { failed, ...counts } = run.result();
  const damaged = await hub.finish(carrier.index);
  return { ...counts, failed: [...failed, ...damaged] };
}

interface Run {
  copy(files: readonly ShardFile[], shard?: Uint8Array): Promise<void>;
  /** Whether the other store has it. */
  isKnown(file: MerkleHash): Promise<boolean>;
  fail(file: MerkleHash): void;
  result(): Copied;
}

function createRun(parts: {
  readonly from: ObjectStore;
  readonly carrier: Carrier;
  readonly signal: AbortSignal;
}): Run {
  const { from, carrier, signal } = parts;
  const count = { files: 0, knownFiles: 0, xorbs: 0, bytes: 0 };
  /** For the counts only: it may say yes for a file that was never counted. */
  const counted = new LiveSet(COUNTED_BYTES);
  const failed = new Set<string>();

  /** Whether the other store has it now. */
  async function bring(hash: MerkleHash): Promise<boolean> {
    if (await carrier.hasXorb(hash)) return true;
    const bytes = await from.read(xorbKey(hash));
    if (bytes === null || !(await carrier.putXorb(hash, bytes))) return false;
    count.xorbs++;
    count.bytes += bytes.length;
    return true;
  }

  async function isKnown(file: MerkleHash): Promise<boolean> {
    if ((await carrier.index.find(file)) === null) return false;
    if (!counted.has(file)) count.knownFiles++;
    counted.add(file);
    return true;
  }

  async function bringAll({ terms }: ShardFile): Promise<boolean> {
    const xorbs = new Map(terms.map(({ xorb }) => [xorb.toString(), xorb]));
    for (const xorb of xorbs.values()) {
      throwIfAborted(signal, 'the copy');
      if (!(await bring(xorb))) return false;
    }
    return true;
  }

  return {
    async copy(files, shard) {
      const missing: ShardFile[] = [];
      for (const file of files) {
        if (await isKnown(file.hash)) continue;
        if (await bringAll(file)) missing.push(file);
        else failed.add(file.hash.toString());
      }
      if (missing.length === 0) return;
      const left = await carrier.register(missing, shard);
      for (const { hash } of left) failed.add(hash.toString());
      count.files += missing.length - left.length;
      for (const { hash } of missing) counted.add(hash);
    },
    isKnown,
    fail: (file) => failed.add(file.toString()),
    result: () => ({ ...count, failed: [...failed].sort() }),
  };
}

function nullIfDamaged(error: unknown): null {
  if (isDamage(error)) return null;
  throw error;
}
