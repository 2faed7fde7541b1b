import type { MerkleHash } from '../../hash/index.js';
import type { Hasher } from '../../hash/ports.js';
import { isDamage } from '../failures.js';
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
  { hasher }: { readonly hasher: Hasher },
): AsyncGenerator<StoredFile, void, undefined> {
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

/**
 * Files that nobody can read any more. What only they need stays until it is collected
 * (`collectGarbage`).
 */
export async function removeStoredFiles(
  store: ObjectStore,
  hashes: readonly MerkleHash[],
  { hasher }: { readonly hasher: Hasher },
): Promise<RemovedFiles> {
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

/** A damaged record is one that is there. */
function ifDamaged(error: unknown): boolean {
  if (isDamage(error)) return true;
  throw error;
}
