import { OrbweaverError } from '../../errors.js';
import type { MerkleHash } from '../../hash/index.js';
import type { Hasher } from '../../hash/ports.js';
import { checkOptions, is } from '../../options/index.js';
import { isDamage } from '../failures.js';
import { hubRoots } from '../hub/index.js';
import type { ObjectStore } from '../ports.js';
import { createStoreIndex } from '../store-index.js';

/** A registered file. */
export interface StoredFile {
  readonly fileHash: string;
  /** Null: its record is damaged. */
  readonly sizeBytes: number | null;
  /** When it was registered, milliseconds since 1970. */
  readonly createdMs: number;
}

/** All registered files, in any order. */
export async function* listStoredFiles(
  store: ObjectStore,
  options: { readonly hasher: Hasher },
): AsyncGenerator<StoredFile, void, undefined> {
  const rules = { hasher: is.required(is.object) };
  const { hasher } = checkOptions('listStoredFiles', options, rules);
  for await (const { hash, sizeBytes, createdMs } of createStoreIndex({ store, hasher }).files()) {
    yield { fileHash: hash.toString(), sizeBytes, createdMs };
  }
}

/** Files by what became of them. */
export interface RemovedFiles {
  readonly removed: readonly MerkleHash[];
  /** Nobody had registered them. */
  readonly missing: readonly MerkleHash[];
}

/** Options of {@link removeStoredFiles}. */
export interface RemoveOptions {
  readonly hasher: Hasher;
  /** Removes them although repositories need them, or nobody can tell. @default false */
  readonly force?: boolean | undefined;
}

/**
 * Files that nobody can read any more. What only they need stays until it is collected
 * (`collectGarbage`). A commit that is made in the very moment may still take up one of them.
 *
 * @throws OrbweaverError `CONFLICT`, and nothing is removed, when a branch or tag of a repository, or a git
 * repository elsewhere, needs one of them; `INTEGRITY` when a commit is damaged, because nobody knows then
 */
export async function removeStoredFiles(
  store: ObjectStore,
  hashes: readonly MerkleHash[],
  options: RemoveOptions,
): Promise<RemovedFiles> {
  const rules = { hasher: is.required(is.object), force: is.flag };
  const { hasher, force = false } = checkOptions('removeStoredFiles', options, rules);
  if (!force) await checkUnneeded(store, hashes);
  const index = createStoreIndex({ store, hasher });
  const removed: MerkleHash[] = [];
  const missing: MerkleHash[] = [];
  for (const hash of hashes) {
    const isThere = await index.find(hash).then((found) => found !== null, ifDamaged);
    (isThere ? removed : missing).push(hash);
  }
  if (removed.length > 0) await index.remove(removed);
  return { removed, missing };
}

async function checkUnneeded(store: ObjectStore, hashes: readonly MerkleHash[]): Promise<void> {
  const wanted = new Set(hashes.map(String));
  const needed: string[] = [];
  for await (const file of hubRoots(store)) if (wanted.has(file.toString())) needed.push(`${file}`);
  if (needed.length === 0) return;
  const message = `repositories need ${needed.length === 1 ? 'file' : 'files'} ${needed.join(', ')}: delete them there and let "repo prune" remove what none needs, or remove them by force`;
  throw new OrbweaverError('CONFLICT', message, { files: needed.join(' ') });
}

/** A damaged record is one that is there. */
function ifDamaged(error: unknown): boolean {
  if (isDamage(error)) return true;
  throw error;
}
