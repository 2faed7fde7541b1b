import { MerkleHash } from '../../hash/index.js';
import type { Hasher } from '../../hash/ports.js';
import { checkOptions, is } from '../../options/index.js';
import { SYSTEM_CLOCK } from '../../platform/index.js';
import type { ObjectStore } from '../ports.js';
import { createStoreIndex } from '../store-index.js';
import { createClaimTables } from './claim-tables.js';
import { DISCUSSIONS_PREFIX } from './discussions.js';
import { EMPTY_FILE } from './hub.js';
import { LFS_PREFIX } from './lfs-files.js';
import { COMMITS_PREFIX, createHubObjects } from './objects.js';
import { entriesUnder, hubReach, sweepHub } from './roots.js';

/** What became of files that were in repositories. */
export interface PrunedRepositories {
  readonly files: number;
  readonly bytes: number;
  /** Trees and commits that were removed. */
  readonly objects: number;
  /**
   * Files that somebody committed again in the very moment: they are not registered any more, and have to
   * be uploaded again before garbage is collected. As good as never any.
   */
  readonly lost: readonly string[];
}

export interface PruneOptions {
  readonly hasher: Hasher;
  /** Commits that are younger, and what they hold, stay, in milliseconds. @default 604800000 */
  readonly graceMs?: number | undefined;
  /** Changes nothing, and says what there is. @default false */
  readonly dryRun?: boolean | undefined;
}

const GRACE_MS = 7 * 24 * 60 * 60 * 1000;

/**
 * Takes files out of the store that were in repositories and that none needs any more: history that was
 * squashed, branches and repositories that were deleted. Their bytes go when garbage is collected. A file
 * that was in no repository stays, and one that was is taken to be theirs, also where somebody uploaded the
 * same bytes without one.
 *
 * @throws OrbweaverError `INTEGRITY` when a tree or commit that is needed is damaged or gone
 */
export async function pruneRepositories(
  store: ObjectStore,
  options: PruneOptions,
): Promise<PrunedRepositories> {
  const {
    hasher,
    graceMs = GRACE_MS,
    dryRun = false,
  } = checkOptions('pruneRepositories', options, {
    hasher: is.required(is.object),
    graceMs: is.number(0),
    dryRun: is.flag,
  });
  const clock = SYSTEM_CLOCK;
  const unixMs = clock.unixMs();
  const index = createStoreIndex({ store, hasher, clock });
  const dropped = await droppedFiles(store, unixMs - graceMs);
  let bytes = 0;
  const files: string[] = [];
  for (const file of dropped.keys()) {
    const record = await index.file(MerkleHash.parse(file));
    if (record === null) continue;
    files.push(file);
    bytes += record.terms.reduce((sum, term) => sum + term.unpackedBytes, 0);
  }
  if (dryRun) return { files: files.length, bytes, objects: 0, lost: [] };
  // Without its SHA-256 nobody takes up such a file from now on; who did so before is seen in the roots.
  const claims = new Map<string, Set<string>>();
  for (const file of files) {
    for (const sha256 of dropped.get(file) ?? []) {
      claims.set(sha256, (claims.get(sha256) ?? new Set()).add(file));
    }
  }
  await createClaimTables({ store, hasher, clock }).forget(claims);
  const { files: needed } = await hubReach(store);
  const going = files.filter((file) => !needed.has(file));
  if (going.length > 0) await index.remove(going.map((file) => MerkleHash.parse(file)));
  const { files: after } = await hubReach(store);
  const objects = await sweepHub(store, { graceMs, unixMs });
  await sweepLinks(store, unixMs - graceMs);
  return { files: going.length, bytes, objects, lost: going.filter((file) => after.has(file)) };
}

/** Files of commits older than `beforeMs` that nothing reaches, with their SHA-256. */
async function droppedFiles(
  store: ObjectStore,
  beforeMs: number,
): Promise<Map<string, Set<string>>> {
  const { reached, files: kept, uids } = await hubReach(store);
  const objects = createHubObjects(store, SYSTEM_CLOCK);
  const found = new Map<string, Set<string>>();
  const add = (file: string, sha256: string): void => {
    if (kept.has(file) || file === EMPTY_FILE.toString()) return;
    const known = found.get(file);
    const named = known ?? new Set();
    if (known === undefined) found.set(file, named);
    // Files of buckets have none.
    if (sha256 !== '') named.add(sha256);
  };
  const seen = new Set(reached);
  for await (const { key, modifiedMs } of store.list(COMMITS_PREFIX)) {
    const id = key.slice(COMMITS_PREFIX.length);
    if (reached.has(id) || modifiedMs > beforeMs) continue;
    const commit = await objects.findCommit(id);
    if (commit === null) continue;
    for await (const entry of entriesUnder(objects, commit.tree, seen)) {
      add(entry.file.toString(), entry.sha256);
    }
  }
  for await (const { key, modifiedMs } of store.list(LFS_PREFIX)) {
    const [uid, sha256] = key.slice(LFS_PREFIX.length).split('/') as [string, string];
    if (uids.has(uid) || modifiedMs > beforeMs) continue;
    const text = await store.read(key);
    if (text !== null) add(new TextDecoder().decode(text), sha256);
  }
  return found;
}

/** What repositories that are gone had besides files: links of Git LFS, discussions. */
async function sweepLinks(store: ObjectStore, beforeMs: number): Promise<void> {
  const { uids } = await hubReach(store);
  for await (const { key, modifiedMs } of store.list(LFS_PREFIX)) {
    const [uid] = key.slice(LFS_PREFIX.length).split('/') as [string];
    if (!uids.has(uid) && modifiedMs <= beforeMs) await store.delete(key);
  }
  for await (const { key, modifiedMs } of store.values?.list(DISCUSSIONS_PREFIX) ?? []) {
    const [uid] = key.slice(DISCUSSIONS_PREFIX.length).split('/') as [string];
    if (uids.has(uid) || modifiedMs > beforeMs) continue;
    const value = await store.values?.read(key);
    if (value != null) await store.values?.delete(key, value.version);
  }
}
