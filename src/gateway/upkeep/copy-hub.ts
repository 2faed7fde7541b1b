import { bytesEqual } from '../../bytes/index.js';
import type { Clock } from '../../flow/index.js';
import { throwIfAborted } from '../../flow/index.js';
import { MerkleHash } from '../../hash/index.js';
import type { Hasher } from '../../hash/ports.js';
import { createClaimTables, type StoredClaim } from '../hub/claim-tables.js';
import { DISCUSSIONS_PREFIX } from '../hub/discussions.js';
import { EMPTY_FILE } from '../hub/hub.js';
import { SHA256_HEX } from '../hub/ids.js';
import { LFS_PREFIX } from '../hub/lfs-files.js';
import { REPOS_PREFIX } from '../hub/names.js';
import { COMMITS_PREFIX, TREES_PREFIX } from '../hub/objects.js';
import { LOCKS_PREFIX } from '../hub/route-locks.js';
import type { ObjectStore } from '../ports.js';
import type { StoreIndex } from '../store-index.js';
import { mapAhead } from '../turns.js';
import { isNamed } from './scrub-hub.js';

/** What a Hub keeps beside the files, on its way into another store. */
export interface HubCopy {
  /**
   * Copies it; the files are there. Gives the keys of what is damaged, which was left out.
   * @param files of the other store
   */
  finish(files: Pick<StoreIndex, 'find'>): Promise<readonly string[]>;
}

interface Value {
  readonly key: string;
  readonly bytes: Uint8Array;
}

const AT_ONCE = 16;
const CLAIMS_AT_A_TIME = 10_000;
/** Repositories last: they make true what lies before them. */
const VALUES = [LOCKS_PREFIX, DISCUSSIONS_PREFIX, REPOS_PREFIX];

/**
 * Reads what repositories point to, before the files are copied: what others commit meanwhile may name files
 * that this copy does not see.
 */
export async function beginHubCopy(parts: {
  readonly from: ObjectStore;
  readonly to: ObjectStore;
  readonly hasher: Hasher;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}): Promise<HubCopy> {
  const { from, to, hasher, clock, signal } = parts;
  const { values } = from;
  const references: Value[] = [];
  for (const prefix of values === undefined ? [] : VALUES) {
    for await (const { key } of values?.list(prefix) ?? []) {
      const found = await values?.read(key);
      if (found) references.push({ key, bytes: found.bytes });
    }
  }

  /** Keys of those that are damaged. */
  async function copyNamed(keys: AsyncIterable<string> | Iterable<string>): Promise<string[]> {
    const copy = async (key: string): Promise<string | null> => {
      throwIfAborted(signal, 'the copy');
      const there = await to.read(key);
      if (there !== null && isNamed(key, there)) return null;
      const bytes = await from.read(key);
      // Pruned since it was listed.
      if (bytes === null) return null;
      if (!isNamed(key, bytes)) return key;
      await to.put(key, bytes, { replace: there !== null });
      return null;
    };
    const damaged: string[] = [];
    for await (const key of mapAhead(keys, AT_ONCE, copy)) if (key !== null) damaged.push(key);
    return damaged;
  }

  /** Files that git repositories elsewhere have here. */
  async function copyLinks(files: Pick<StoreIndex, 'find'>): Promise<void> {
    const copy = async (key: string): Promise<void> => {
      throwIfAborted(signal, 'the copy');
      const bytes = await from.read(key);
      const file = bytes === null ? '' : new TextDecoder().decode(bytes);
      if (bytes === null || !SHA256_HEX.test(file)) return;
      // One that came meanwhile comes with the next copy.
      const hash = MerkleHash.parse(file);
      if (!hash.equals(EMPTY_FILE) && (await files.find(hash)) === null) return;
      const there = await to.read(key);
      if (there !== null && bytesEqual(there, bytes)) return;
      await to.put(key, bytes, { replace: there !== null });
    };
    for await (const _ of mapAhead(keysOf(from, LFS_PREFIX), AT_ONCE, copy));
  }

  async function copyClaims(): Promise<void> {
    const merging: Promise<unknown>[] = [];
    const background = (work: Promise<unknown>): void => {
      merging.push(work.catch(() => undefined));
    };
    const there = createClaimTables({ store: to, hasher, clock, background });
    let batch: StoredClaim[] = [];
    const flush = async (): Promise<void> => {
      throwIfAborted(signal, 'the copy');
      await there.add(batch);
      await Promise.all(merging.splice(0));
      batch = [];
    };
    for await (const page of createClaimTables({ store: from, hasher, clock }).all()) {
      batch.push(...page);
      if (batch.length >= CLAIMS_AT_A_TIME) await flush();
    }
    await flush();
  }

  return {
    async finish(files) {
      // Listed before the trees, so that no commit comes without its own.
      const commits: string[] = [];
      for await (const key of keysOf(from, COMMITS_PREFIX)) commits.push(key);
      const damaged = await copyNamed(keysOf(from, TREES_PREFIX));
      damaged.push(...(await copyNamed(commits)));
      await copyLinks(files);
      await copyClaims();
      for (const value of references) await putValue(to, value);
      return damaged.sort();
    },
  };
}

async function* keysOf(store: ObjectStore, prefix: string): AsyncGenerator<string> {
  for await (const { key } of store.list(prefix)) yield key;
}

async function putValue({ values }: ObjectStore, { key, bytes }: Value): Promise<void> {
  for (;;) {
    const there = await values?.read(key);
    if (there === undefined) return;
    if (there !== null && bytesEqual(there.bytes, bytes)) return;
    if ((await values?.write(key, bytes, there?.version ?? null)) !== null) return;
  }
}
