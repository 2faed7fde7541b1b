import type { Sequence } from '../../bytes/index.js';
import type { MerkleHash } from '../../hash/index.js';
import type { ShardFile } from '../../shard/index.js';
import type { StoreIndex } from '../store-index.js';
import { createYielder } from '../turns.js';
import { type ClaimTableParts, createClaimTables } from './claim-tables.js';

/**
 * Which file of the store has which SHA-256. A shard says it of the files that it registers, and nobody
 * has looked whether it is true; what came through this server as Git LFS sends it was hashed here.
 *
 * A claim is worth something as long as its file is registered; of several that differ, those that were
 * not proved are held against the bytes of their files.
 */
export interface Claims {
  /** Files with range hashes and a SHA-256, as they are registered. */
  note(files: Sequence<ShardFile>): Promise<void>;
  /** The bytes of `file` were hashed here. */
  prove(sha256: string, file: MerkleHash): Promise<void>;
  /** The file of that SHA-256; null: none is known. */
  find(sha256: string): Promise<Claim | null>;
  /** The files of those of many that are known. Cheaper than one `find` for each. */
  findAll(sha256s: readonly string[]): Promise<ReadonlyMap<string, Claim>>;
}

export interface Claim {
  readonly file: MerkleHash;
  readonly sizeBytes: number;
  readonly proved: boolean;
}

export function createClaims(
  parts: ClaimTableParts & {
    readonly index: StoreIndex;
    /** SHA-256 of a stored file, read for this. */
    readonly digestOf: (file: MerkleHash) => Promise<string>;
  },
): Claims {
  const { index, digestOf } = parts;
  const tables = createClaimTables(parts);

  /** Which of several is true. Those that turn out to be wrong are forgotten. */
  async function trueOne(sha256: string, there: readonly Claim[]): Promise<Claim | null> {
    const proved = there.find((claim) => claim.proved);
    if (proved !== undefined || there.length < 2) return proved ?? there[0] ?? null;
    const wrong = new Set<string>();
    let found: Claim | null = null;
    for (const claim of there) {
      if ((await digestOf(claim.file)) === sha256) {
        await claims.prove(sha256, claim.file);
        found = { ...claim, proved: true };
        break;
      }
      wrong.add(claim.file.toString());
    }
    if (wrong.size > 0) await tables.forget(new Map([[sha256, wrong]]));
    return found;
  }

  const claims: Claims = {
    async note(files) {
      const yieldAfter = createYielder();
      const said: Parameters<typeof tables.add>[0][number][] = [];
      for (const { hash: file, sha256 } of files) {
        if (sha256 !== null) {
          said.push({ sha256: Buffer.from(sha256).toString('hex'), file, proved: false });
        }
        const others = yieldAfter(1);
        if (others !== undefined) await others;
      }
      await tables.add(said);
    },
    prove: (sha256, file) => tables.add([{ sha256, file, proved: true }]),
    async find(sha256) {
      return (await claims.findAll([sha256])).get(sha256) ?? null;
    },
    async findAll(sha256s) {
      const said = await tables.of(sha256s);
      const files = new Map<string, MerkleHash>();
      for (const { file } of [...said.values()].flat()) files.set(file.toString(), file);
      const sizes = await index.sizes([...files.values()]);
      const found = new Map<string, Claim>();
      for (const [sha256, stored] of said) {
        const there = stored.flatMap(({ file, proved }): Claim[] => {
          const sizeBytes = sizes.get(file.toString());
          return sizeBytes === undefined ? [] : [{ file, sizeBytes, proved }];
        });
        const claim = await trueOne(sha256, there);
        if (claim !== null) found.set(sha256, claim);
      }
      return found;
    },
  };
  return claims;
}
