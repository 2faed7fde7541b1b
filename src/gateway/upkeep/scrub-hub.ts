import type { Clock } from '../../flow/index.js';
import { MerkleHash } from '../../hash/index.js';
import type { Hasher } from '../../hash/ports.js';
import { isDamage } from '../failures.js';
import { type ClaimTables, createClaimTables, type StoredClaim } from '../hub/claim-tables.js';
import { EMPTY_FILE } from '../hub/hub.js';
import { OBJECT_ID, objectId, SHA256_HEX } from '../hub/ids.js';
import { LFS_PREFIX } from '../hub/lfs-files.js';
import { idOf, REPOS_PREFIX } from '../hub/names.js';
import { COMMITS_PREFIX, createHubObjects, type HubObjects, TREES_PREFIX } from '../hub/objects.js';
import { decodeRepo, type Repo } from '../hub/repos.js';
import type { ObjectStore } from '../ports.js';
import { createStoreIndex } from '../store-index.js';

/** What a Hub keeps, held against its names and against what else says the same. */
export interface HubScrub {
  /** Whether these are the bytes of a tree, of a commit, or of what says which file a SHA-256 is. */
  isSound(key: string, bytes: Uint8Array): Promise<boolean>;
  /** Writes again which file a SHA-256 is, from what is known elsewhere. False: nobody knows. */
  mend(key: string): Promise<boolean>;
  /** Reads all tables of SHA-256s; those with damage are written again. Gives their keys. */
  mendClaims(): Promise<readonly string[]>;
  /** Trees, commits and values that repositories need and that are damaged or gone, with those repositories. */
  hit(damaged: ReadonlySet<string>): Promise<ReadonlyMap<string, ReadonlySet<string>>>;
}

export const HUB_PREFIXES: readonly string[] = [COMMITS_PREFIX, LFS_PREFIX, TREES_PREFIX];
const CLAIMS_AT_A_TIME = 10_000;

const lastOf = (key: string): string => key.slice(key.lastIndexOf('/') + 1);

/** Whether a tree or commit has the bytes that its key names. */
export function isNamed(key: string, bytes: Uint8Array): boolean {
  return objectId(bytes) === lastOf(key);
}

/** Whether a gateway makes such keys. */
export function isHubKey(key: string): boolean {
  return (key.startsWith(LFS_PREFIX) ? SHA256_HEX : OBJECT_ID).test(lastOf(key));
}

export function createHubScrub(parts: {
  readonly store: ObjectStore;
  readonly hasher: Hasher;
  readonly clock: Clock;
}): HubScrub {
  const { store, clock } = parts;
  const merging = (work: Promise<unknown>): void => void work.catch(() => undefined);
  const claims = createClaimTables({ ...parts, background: merging });
  const index = createStoreIndex(parts);
  const isThere = async (file: MerkleHash): Promise<boolean> =>
    file.equals(EMPTY_FILE) || (await index.find(file).catch(nullIfDamaged)) !== null;

  /** The file of a SHA-256, where only one can be meant. */
  async function fileOf(sha256: string): Promise<MerkleHash | null> {
    const said = (await claims.of([sha256])).get(sha256) ?? [];
    const [first, ...others] = said;
    if (first === undefined || (!first.proved && others.length > 0)) return null;
    return (await isThere(first.file)) ? first.file : null;
  }

  const hubScrub: HubScrub = {
    async isSound(key, bytes) {
      if (!key.startsWith(LFS_PREFIX)) return isNamed(key, bytes);
      const file = linkOf(bytes);
      if (file === null) return false;
      // Its file was removed by force; or another one is meant.
      return (await isThere(file)) || (await fileOf(lastOf(key))) === null;
    },
    async mend(key) {
      const file = key.startsWith(LFS_PREFIX) ? await fileOf(lastOf(key)) : null;
      if (file === null) return false;
      return store.put(key, new TextEncoder().encode(`${file}`), { replace: true });
    },
    async mendClaims() {
      const mended = await claims.salvage();
      if (mended.length > 0) await sayAgain(store, claims, createHubObjects(store, clock));
      return mended;
    },
    async hit(damaged) {
      const hit = new Map<string, Set<string>>();
      const add = (key: string, repo: string): void => {
        hit.set(key, (hit.get(key) ?? new Set()).add(repo));
      };
      const repos = await readRepos(store, add);
      const objects = createHubObjects(store, clock);
      // Most have nothing: then what several have in common is read once.
      const seen = new Set<string>();
      let isBroken = false;
      for (const repo of repos) {
        await walk(objects, repo, seen, () => {
          isBroken = true;
        });
      }
      for (const repo of repos) {
        const name = `${repo.type}/${idOf(repo)}`;
        if (isBroken) await walk(objects, repo, new Set(), (key) => add(key, name));
        for (const key of damaged) {
          if (key.startsWith(`${LFS_PREFIX}${repo.uid}/`)) add(key, name);
        }
      }
      return hit;
    },
  };
  return hubScrub;
}

function linkOf(bytes: Uint8Array): MerkleHash | null {
  const text = new TextDecoder().decode(bytes);
  return SHA256_HEX.test(text) ? MerkleHash.parse(text) : null;
}

async function readRepos(
  { values }: ObjectStore,
  onDamage: (key: string, repo: string) => void,
): Promise<readonly Repo[]> {
  const keys: string[] = [];
  for await (const { key } of values?.list(REPOS_PREFIX) ?? []) keys.push(key);
  const repos: Repo[] = [];
  for (const key of keys.sort()) {
    const value = await values?.read(key);
    if (!value) continue;
    try {
      repos.push(decodeRepo(key, value.bytes));
    } catch (error) {
      if (!isDamage(error)) throw error;
      onDamage(key, lastOf(key).replaceAll('--', '/'));
    }
  }
  return repos;
}

/** Reads all commits and trees that a repository reaches, but for those in `seen`. */
async function walk(
  objects: HubObjects,
  { refs }: Repo,
  seen: Set<string>,
  onDamage: (key: string) => void,
): Promise<void> {
  const commits = Object.values(refs);
  for (let id = commits.pop(); id !== undefined; id = commits.pop()) {
    if (seen.has(id)) continue;
    seen.add(id);
    const commit = await objects.commit(id).catch(nullIfDamaged);
    if (commit === null) {
      onDamage(COMMITS_PREFIX + id);
      continue;
    }
    commits.push(...commit.parents);
    const trees = [commit.tree];
    for (let tree = trees.pop(); tree !== undefined; tree = trees.pop()) {
      if (seen.has(tree)) continue;
      seen.add(tree);
      const entries = await objects.tree(tree).catch(nullIfDamaged);
      if (entries === null) onDamage(TREES_PREFIX + tree);
      for (const entry of entries?.values() ?? []) {
        if (entry.kind === 'folder') trees.push(entry.tree);
      }
    }
  }
}

/** Has trees and git repositories elsewhere say once more which files they know. What is known is not written. */
async function sayAgain(
  store: ObjectStore,
  claims: ClaimTables,
  objects: HubObjects,
): Promise<void> {
  let batch: StoredClaim[] = [];
  const say = async (sha256: string, file: MerkleHash): Promise<void> => {
    if (sha256 === '' || file.equals(EMPTY_FILE)) return;
    if (batch.push({ sha256, file, proved: false }) < CLAIMS_AT_A_TIME) return;
    await claims.add(batch);
    batch = [];
  };
  for await (const { key } of store.list(LFS_PREFIX)) {
    const file = linkOf((await store.read(key)) ?? new Uint8Array(0));
    if (file !== null) await say(lastOf(key), file);
  }
  for await (const { key } of store.list(TREES_PREFIX)) {
    const tree = await objects.tree(lastOf(key)).catch(nullIfDamaged);
    for (const entry of tree?.values() ?? []) {
      if (entry.kind === 'file') await say(entry.sha256, entry.file);
    }
  }
  await claims.add(batch);
}

function nullIfDamaged(error: unknown): null {
  if (isDamage(error)) return null;
  throw error;
}
