import { isOrbweaverError } from '../../errors.js';
import type { Clock } from '../../flow/index.js';
import { MerkleHash } from '../../hash/index.js';
import type { Hasher } from '../../hash/ports.js';
import { systemRandomBytes } from '../../platform/index.js';
import { isDamage } from '../failures.js';
import type { ObjectStore } from '../ports.js';
import { compareBytes, decodeStamp, encodeChunkEntry, type TableEntry } from '../tables/entries.js';
import { CHUNKS, FILES } from '../tables/format.js';
import { createTableList } from '../tables/list.js';
import { createTableLock } from '../tables/lock.js';
import { latest, newestShards } from '../tables/merge.js';
import { putTable } from '../tables/put.js';
import { createTableReader, TableGone } from '../tables/read.js';
import { valuesThere } from '../tables/search.js';
import {
  dropFromTables,
  isReadable,
  mergeIfDue,
  salvageTable,
  type UpkeepParts,
} from '../tables/upkeep.js';

/**
 * Where claims lie: in tables as those of the index (`gateway/tables/`), so that thousands of files that are
 * registered together are one object, and sixteen of those become one.
 *
 *   hub-claims/<level>-<name>
 *     files    SHA-256 → the file that was hashed here, the newest, and when
 *     chunks   SHA-256 → each file that somebody said has it, and when
 */
export const CLAIMS_PREFIX = 'hub-claims/';
const LEASE = 'leases/hub-claims';

/** A claim as it is stored: whether its file is registered is another matter. */
export interface StoredClaim {
  /** 64 lower-case hexadecimal digits. */
  readonly sha256: string;
  readonly file: MerkleHash;
  /** It was hashed here. */
  readonly proved: boolean;
}

export interface ClaimTables {
  /** What is known of these, proved ones first. What cannot be read is not known: it is said again. */
  of(sha256s: readonly string[]): Promise<ReadonlyMap<string, readonly StoredClaim[]>>;
  /** Everything that can be read, a page at a time; some of it perhaps twice. */
  all(): AsyncIterable<readonly StoredClaim[]>;
  /** Reads all tables, and writes those with damage again with what can be read. Gives their keys. */
  salvage(): Promise<readonly string[]>;
  /** Writes what is not there yet, all of it as one object. */
  add(claims: readonly StoredClaim[]): Promise<void>;
  /** Files by their SHA-256, both as texts: these are claims no more when it resolves. */
  forget(claims: ReadonlyMap<string, ReadonlySet<string>>): Promise<void>;
}

export interface ClaimTableParts {
  readonly store: ObjectStore;
  readonly hasher: Hasher;
  readonly clock: Clock;
  /** Takes work that nobody waits for. @default it runs, and its failures are dropped */
  readonly background?: ((work: Promise<unknown>) => void) | undefined;
}

/** Some 10,000 claims. */
const CACHE_BYTES = 1024 * 1024;

export function createClaimTables({
  store,
  hasher,
  clock,
  background = (work) => void work.catch(() => undefined),
}: ClaimTableParts): ClaimTables {
  const newName = (): string => Buffer.from(systemRandomBytes(32)).toString('hex');
  const reader = createTableReader({ store, hasher, cacheBytes: CACHE_BYTES });
  const list = createTableList(store, clock, CLAIMS_PREFIX);
  const lock = createTableLock({ values: store.values, clock, newOwner: newName, lease: LEASE });
  const upkeep: UpkeepParts = { store, hasher, reader, list, newName };
  const bad = new Set<string>();

  async function of(sha256s: readonly string[]): Promise<Map<string, StoredClaim[]>> {
    const keys = new Map([...new Set(sha256s)].map((sha256) => [sha256, keyOf(sha256)]));
    const proved = await valuesThere(reader, list, FILES, [...keys.values()]);
    const said = await valuesThere(reader, list, CHUNKS, [...keys.values()]);
    const known = new Map<string, StoredClaim[]>();
    for (const [sha256, key] of keys) {
      const claims = new Map<string, StoredClaim>();
      const take = (values: readonly Uint8Array[], isProved: boolean): void => {
        for (const value of values) {
          const { shard: file } = decodeStamp(value);
          if (!claims.has(`${file}`)) claims.set(`${file}`, { sha256, file, proved: isProved });
        }
      };
      const hashed = proved.get(`${key}`)?.values ?? [];
      take(hashed.length === 0 ? [] : [latest(hashed)], true);
      take(newestShards(said.get(`${key}`)?.values ?? []), false);
      if (claims.size > 0) known.set(sha256, [...claims.values()]);
    }
    return known;
  }

  /** A table with damage can neither be merged nor rewritten. */
  async function salvage(): Promise<readonly string[]> {
    const damaged: string[] = [];
    for (const table of await list.refresh()) {
      const isGood = await isReadable(upkeep, table).catch(trueWhenGone);
      if (!isGood) damaged.push(table.key);
    }
    if (damaged.length === 0) return damaged;
    const held = await lock.take();
    try {
      for (const table of await list.refresh()) {
        if (!damaged.includes(table.key)) continue;
        await held.check();
        await salvageTable(upkeep, held, table).catch(trueWhenGone);
      }
    } finally {
      await held.release();
    }
    return damaged;
  }

  async function* all(): AsyncGenerator<readonly StoredClaim[], void, undefined> {
    const done = new Set<string>();
    for (;;) {
      const table = (await list.refresh()).find(({ key }) => !done.has(key));
      if (table === undefined) return;
      done.add(table.key);
      for (const section of [FILES, CHUNKS] as const) {
        const pages = reader.scan(table.key, section, { skipsDamage: true });
        try {
          for await (const page of pages) {
            yield page.map(({ key, value }) => ({
              sha256: Buffer.from(key).toString('hex'),
              file: decodeStamp(value).shard,
              proved: section === FILES,
            }));
          }
        } catch (error) {
          // Merged meanwhile: what it had is in a table that comes.
          if (!(error instanceof TableGone) && !isDamage(error)) throw error;
        }
      }
    }
  }

  return {
    of,
    all,
    salvage,
    async add(claims) {
      const known = await of(claims.map(({ sha256 }) => sha256));
      const isNew = ({ sha256, file, proved }: StoredClaim): boolean =>
        known.get(sha256)?.some((each) => each.file.equals(file) && (each.proved || !proved)) !==
        true;
      const added = claims.filter(isNew);
      if (added.length === 0) return;
      const createdMs = clock.unixMs();
      const entryOf = ({ sha256, file }: StoredClaim): TableEntry => ({
        key: keyOf(sha256).bytes,
        value: encodeChunkEntry({ shard: file, createdMs }),
      });
      const proved = added.filter((claim) => claim.proved).map(entryOf);
      const said = added.filter((claim) => !claim.proved).map(entryOf);
      list.change([await putTable({ store, hasher, list }, proved, said)], []);
      const tables = await list.known(Number.POSITIVE_INFINITY);
      background(mergeIfDue(upkeep, lock, bad, tables));
    },
    async forget(claims) {
      if (claims.size === 0) return;
      const going = new Map([...claims].map(([sha256, files]) => [`${keyOf(sha256)}`, files]));
      const isGoing = ({ key, value }: TableEntry): boolean =>
        going.get(`${MerkleHash.from(key)}`)?.has(`${decodeStamp(value).shard}`) === true;
      const keys = [...claims.keys()].map(keyOf).sort((a, b) => compareBytes(a.bytes, b.bytes));
      const hasAny = async (table: string): Promise<boolean> => {
        for (const section of [FILES, CHUNKS] as const) {
          for (const { bytes: key } of keys) {
            const values = await reader.lookUp(table, section, key);
            if (values === null) throw new TableGone(table);
            if (values.some((value) => isGoing({ key, value }))) return true;
          }
        }
        return false;
      };
      const drop = (): Promise<void> =>
        dropFromTables(upkeep, lock, async ({ key }) =>
          (await hasAny(key)) ? { file: isGoing, chunk: isGoing } : null,
        );
      try {
        await drop();
      } catch (error) {
        if (!isOrbweaverError(error) || error.code !== 'INTEGRITY') throw error;
        await salvage();
        await drop();
      }
    },
  };
}

/** Keys of tables are 32 bytes, whatever they are the hash of. */
const keyOf = (sha256: string): MerkleHash => MerkleHash.from(Buffer.from(sha256, 'hex'));

function trueWhenGone(error: unknown): true {
  if (error instanceof TableGone) return true;
  throw error;
}
