import { MerkleHash } from '../../hash/index.js';
import type { ObjectStore } from '../ports.js';
import { mapLimited } from '../turns.js';
import type { Hub } from './hub.js';
import type { Repo } from './repos.js';

/**
 * Which files a git repository elsewhere has here: what no commit of ours says, and what keeps them when
 * files that nothing refers to are removed.
 *
 *   hub-lfs/<uid of the repository>/<SHA-256>   the file hash
 */
export const LFS_PREFIX = 'hub-lfs/';

export function createLfsFiles({ services }: Pick<Hub, 'services'>): {
  keep(repo: Repo, sha256: string, file: MerkleHash): Promise<void>;
} {
  return {
    async keep({ type, uid }, sha256, file) {
      if (type !== 'git') return;
      const bytes = new TextEncoder().encode(file.toString());
      await services.store.put(`${LFS_PREFIX}${uid}/${sha256}`, bytes, { replace: true });
    },
  };
}

/** Values that are read at a time, and files whose sizes are asked for together. */
const READS_AT_ONCE = 16;
const SIZES_AT_ONCE = 1000;

/** How many files a git repository has here, and their bytes; what the store has lost is not counted. */
export async function lfsHoldings(
  { services: { store, index } }: Pick<Hub, 'services'>,
  { uid }: Repo,
): Promise<{ readonly fileCount: number; readonly sizeBytes: number }> {
  let [fileCount, sizeBytes] = [0, 0];
  let keys: string[] = [];
  const count = async (): Promise<void> => {
    const values = await mapLimited(keys, READS_AT_ONCE, (key) => store.read(key));
    keys = [];
    const files = values.flatMap((value) =>
      value === null ? [] : [MerkleHash.parse(new TextDecoder().decode(value))],
    );
    const sizes = await index.sizes(files);
    for (const file of files) {
      const size = sizes.get(file.toString());
      if (size === undefined) continue;
      fileCount++;
      sizeBytes += size;
    }
  };
  for await (const { key } of store.list(`${LFS_PREFIX}${uid}/`)) {
    if (keys.push(key) === SIZES_AT_ONCE) await count();
  }
  await count();
  return { fileCount, sizeBytes };
}

/** Files of a git repository. */
export async function* lfsFilesOf(
  store: ObjectStore,
  uid: string,
): AsyncGenerator<MerkleHash, void, undefined> {
  for await (const { key } of store.list(`${LFS_PREFIX}${uid}/`)) {
    const bytes = await store.read(key);
    if (bytes !== null) yield MerkleHash.parse(new TextDecoder().decode(bytes));
  }
}
