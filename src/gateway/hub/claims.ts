import { MerkleHash } from '../../hash/index.js';
import type { ShardFile } from '../../shard/index.js';
import type { ObjectStore } from '../ports.js';
import type { StoreIndex } from '../store-index.js';
import { mapLimited } from '../turns.js';

/**
 * Which file of the store has which SHA-256. A shard says it of the files that it registers, and nobody
 * has looked whether it is true; what came through this server as Git LFS sends it was hashed here.
 *
 *   hub-sha256/<SHA-256>/<file>   one byte: 1 when it was hashed here, 0 when somebody said so
 *
 * A claim is worth something as long as its file is registered; of several that differ, those that were
 * not proved are held against the bytes of their files.
 */
export interface Claims {
  /** Files with range hashes and a SHA-256, as they are registered. */
  note(files: readonly ShardFile[]): Promise<void>;
  /** The bytes of `file` were hashed here. */
  prove(sha256: string, file: MerkleHash): Promise<void>;
  /** The file of that SHA-256; null: none is known. */
  find(sha256: string): Promise<Claim | null>;
}

export interface Claim {
  readonly file: MerkleHash;
  readonly sizeBytes: number;
  readonly proved: boolean;
}

export const CLAIMS_PREFIX = 'hub-sha256/';
const SAID = Uint8Array.of(0);
const PROVED = Uint8Array.of(1);
const AT_ONCE = 16;

export function createClaims(parts: {
  readonly store: ObjectStore;
  readonly index: StoreIndex;
  /** SHA-256 of a stored file, read for this. */
  readonly digestOf: (file: MerkleHash) => Promise<string>;
}): Claims {
  const { store, index, digestOf } = parts;
  const keyOf = (sha256: string, file: MerkleHash): string => `${CLAIMS_PREFIX}${sha256}/${file}`;

  async function listed(sha256: string): Promise<Claim[]> {
    const claims: Claim[] = [];
    const prefix = `${CLAIMS_PREFIX}${sha256}/`;
    for await (const { key } of store.list(prefix)) {
      const file = MerkleHash.parse(key.slice(prefix.length));
      const [record, said] = await Promise.all([index.file(file), store.read(key)]);
      if (record === null || said === null) continue;
      const sizeBytes = record.terms.reduce((sum, term) => sum + term.unpackedBytes, 0);
      claims.push({ file, sizeBytes, proved: said[0] === 1 });
    }
    return claims;
  }

  const claims: Claims = {
    async note(files) {
      await mapLimited(files, AT_ONCE, async ({ hash, sha256 }) => {
        if (sha256 !== null)
          await store.put(keyOf(Buffer.from(sha256).toString('hex'), hash), SAID);
      });
    },
    async prove(sha256, file) {
      await store.put(keyOf(sha256, file), PROVED, { replace: true });
    },
    async find(sha256) {
      const found = await listed(sha256);
      const proved = found.find((claim) => claim.proved);
      if (proved !== undefined || found.length < 2) return proved ?? found[0] ?? null;
      for (const claim of found) {
        if ((await digestOf(claim.file)) === sha256) {
          await claims.prove(sha256, claim.file);
          return { ...claim, proved: true };
        }
        await store.delete(keyOf(sha256, claim.file));
      }
      return null;
    },
  };
  return claims;
}
