import type { MerkleHash } from '../../hash/index.js';
import { SYSTEM_CLOCK } from '../../platform/index.js';
import { isDamage } from '../failures.js';
import type { ObjectStore } from '../ports.js';
import type { FileEntry } from './formats.js';
import { EMPTY_FILE } from './hub.js';
import { lfsFilesOf } from './lfs-files.js';
import { REPOS_PREFIX } from './names.js';
import { COMMITS_PREFIX, createHubObjects, type HubObjects, TREES_PREFIX } from './objects.js';
import { decodeRepo, type Repo } from './repos.js';

/** What repositories keep: for whoever removes what nothing refers to. */

/**
 * Every file that a branch, a tag or a git repository elsewhere still needs, once; of all commits back to
 * the first one. Files of nobody's repository are in no root.
 *
 * @throws OrbweaverError `INTEGRITY` when a tree or commit that is needed is damaged or gone: nothing may
 * be removed then
 * @example
 * for await (const file of hubRoots(store)) keep.add(file.toString());
 */
export async function* hubRoots(store: ObjectStore): AsyncGenerator<MerkleHash, void, undefined> {
  const seen = new Set<string>();
  for await (const file of rootsWith(store, new Set())) {
    const name = file.toString();
    if (seen.has(name) || file.equals(EMPTY_FILE)) continue;
    seen.add(name);
    yield file;
  }
}

/** What repositories reach. */
export interface HubReach {
  /** Names of trees and commits. */
  readonly reached: Set<string>;
  /** Hashes of files. */
  readonly files: ReadonlySet<string>;
  /** Of the repositories. */
  readonly uids: ReadonlySet<string>;
}

export async function hubReach(store: ObjectStore): Promise<HubReach> {
  const [reached, files, uids] = [new Set<string>(), new Set<string>(), new Set<string>()];
  for await (const file of rootsWith(store, reached, uids)) files.add(file.toString());
  return { reached, files, uids };
}

/**
 * Removes trees and commits that no repository of a store reaches any more and that are older than
 * `graceMs`; what a younger commit holds stays with it. Returns how many. A commit in the making has its
 * trees written before anything refers to them, so the grace has to be longer than a request.
 */
export async function sweepHub(
  store: ObjectStore,
  { graceMs, unixMs }: { readonly graceMs: number; readonly unixMs: number },
): Promise<number> {
  const { reached } = await hubReach(store);
  const objects = createHubObjects(store, SYSTEM_CLOCK);
  const isYoung = (modifiedMs: number): boolean => unixMs - modifiedMs < graceMs;
  const old: string[] = [];
  for await (const { key, modifiedMs } of store.list(COMMITS_PREFIX)) {
    const id = key.slice(COMMITS_PREFIX.length);
    if (reached.has(id)) continue;
    if (!isYoung(modifiedMs)) {
      old.push(key);
      continue;
    }
    const commit = await objects.findCommit(id);
    if (commit === null) continue;
    for await (const _file of filesUnder(objects, commit.tree, reached)) {
      // Only the way there counts.
    }
  }
  let removed = 0;
  for (const key of old) if (await store.delete(key)) removed++;
  for await (const { key, modifiedMs } of store.list(TREES_PREFIX)) {
    if (reached.has(key.slice(TREES_PREFIX.length)) || isYoung(modifiedMs)) continue;
    if (await store.delete(key)) removed++;
  }
  return removed;
}

/** Files as often as they are found; names of trees and commits go into `reached`. */
async function* rootsWith(
  store: ObjectStore,
  reached: Set<string>,
  uids: Set<string> = new Set(),
): AsyncGenerator<MerkleHash, void, undefined> {
  const { values } = store;
  if (values === undefined) return;
  const objects = createHubObjects(store, SYSTEM_CLOCK);
  const keys: string[] = [];
  for await (const { key } of values.list(REPOS_PREFIX)) keys.push(key);
  for (const key of keys) {
    const value = await values.read(key);
    if (value === null) continue;
    const repo = decodeRepo(key, value.bytes);
    uids.add(repo.uid);
    if (repo.type === 'git') yield* lfsFilesOf(store, repo.uid);
    else yield* filesOfRefs(objects, repo, reached);
  }
}

async function* filesOfRefs(
  objects: HubObjects,
  { refs }: Repo,
  reached: Set<string>,
): AsyncGenerator<MerkleHash, void, undefined> {
  const commits = Object.values(refs);
  for (let id = commits.pop(); id !== undefined; id = commits.pop()) {
    if (reached.has(id)) continue;
    reached.add(id);
    const commit = await objects.commit(id);
    commits.push(...commit.parents);
    yield* filesUnder(objects, commit.tree, reached);
  }
}

/** Files of a tree and the trees below it, but for what is in `reached` already. */
async function* filesUnder(
  objects: HubObjects,
  root: string,
  reached: Set<string>,
): AsyncGenerator<MerkleHash, void, undefined> {
  for await (const { file } of entriesUnder(objects, root, reached)) yield file;
}

/** The same with what is known of each. */
export async function* entriesUnder(
  objects: HubObjects,
  root: string,
  reached: Set<string>,
): AsyncGenerator<FileEntry, void, undefined> {
  const trees = [root];
  for (let id = trees.pop(); id !== undefined; id = trees.pop()) {
    if (reached.has(id)) continue;
    reached.add(id);
    for (const entry of (await objects.tree(id)).values()) {
      if (entry.kind === 'folder') trees.push(entry.tree);
      else yield entry;
    }
  }
}

/**
 * Bytes of the files that branches and tags of a repository hold as they are now, each once. What is damaged
 * is not counted.
 */
export async function heldBytes(
  { objects }: { readonly objects: HubObjects },
  { refs }: Repo,
): Promise<number> {
  const [trees, files] = [new Set<string>(), new Set<string>()];
  let sum = 0;
  for (const id of new Set(Object.values(refs))) {
    try {
      const { tree } = await objects.commit(id);
      for await (const { file, sizeBytes } of entriesUnder(objects, tree, trees)) {
        if (files.size < files.add(file.toString()).size) sum += sizeBytes;
      }
    } catch (error) {
      if (!isDamage(error)) throw error;
    }
  }
  return sum;
}
