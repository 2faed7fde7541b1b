import { MerkleHash } from '../../hash/index.js';
import type { ObjectStore } from '../ports.js';
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
