import type { ChunkRun, KeptRun } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import type { Clock } from '../flow/index.js';
import { apart, KEPT_PART_MS, type LedgerPlace, type OldRuns, type PartLedger } from '../io/web.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import type { Database, IdbRange } from './indexed-db.js';
import { type Locks, NOTHING_HELD, type Release } from './locks.js';
import type { StoredFile, StoredFolder } from './own-storage.js';

/**
 * Unfinished files of a page: the bytes in a folder of its own storage, under a name that nobody else
 * has, and what is written in them in its database. Who works with one holds its lock, which the end of
 * the page gives up; what nobody went on with for a week is removed, as is a file that no list is of.
 */

/** An unfinished file, and the lock on it. */
export interface HeldPart {
  readonly file: StoredFile;
  readonly place: LedgerPlace;
  /** What an earlier run left; null: it is new. */
  readonly old: OldRuns | null;
  /** Nobody is at it any more; `keeps`: it is left for later. Never rejects. */
  release(options: { readonly keeps: boolean }): Promise<void>;
}

export interface Parts {
  /** Takes one over that was to become `target` with this content. Null: there is none. Never rejects. */
  take(target: string, content: string): Promise<HeldPart | null>;
  /** Makes an empty one. @throws what the browser throws */
  make(target: string, content: string): Promise<HeldPart>;
}

interface PartRow {
  readonly id: string;
  readonly target: string;
  readonly content: string;
  changedMs: number;
  /** Number of the list that counts. */
  list: number;
}

interface RunRow {
  readonly part: string;
  readonly list: number;
  readonly n: number;
  readonly offset: number;
  readonly lengths: Uint32Array;
  readonly hashes: Uint8Array;
}

const BOTH = ['parts', 'runs'];

export interface PartsOptions {
  readonly folder: StoredFolder;
  /** Null: nothing is left for later. */
  readonly database: Database | null;
  readonly locks: Locks;
  readonly clock?: Clock | undefined;
}

export function createParts(options: PartsOptions): Parts {
  const { folder, database, locks, clock = SYSTEM_CLOCK } = options;
  let sweeping: Promise<void> | null = null;
  const rowOf = async (id: string): Promise<PartRow | undefined> =>
    (await database?.read(['parts'], (store) => store('parts').get(id))) as PartRow | undefined;
  const held = (
    row: PartRow,
    file: StoredFile,
    old: OldRuns | null,
    release: Release,
  ): HeldPart => ({
    file,
    old,
    place: ledgerPlace(database as Database, row, clock),
    async release({ keeps }) {
      if (!keeps) await removePart(folder, database, row.id);
      await release();
    },
  });
  /** Once for each client: what is stale goes, unless a page is at it. */
  const sweep = async (): Promise<void> => {
    const ids = new Set<string>();
    for await (const id of folder.keys()) ids.add(id);
    const rows = (await database?.read(['parts'], (store) => store('parts').getAll())) ?? [];
    for (const { id } of rows as PartRow[]) ids.add(id);
    for (const id of ids) {
      const release = await locks.hold(lockName(id));
      if (release === null) continue;
      try {
        const row = await rowOf(id);
        const isStale = row === undefined || clock.unixMs() - row.changedMs > KEPT_PART_MS;
        if (isStale) await removePart(folder, database, id);
      } finally {
        await release();
      }
    }
  };
  const swept = (): Promise<void> => {
    sweeping ??= sweep().catch(() => {});
    return sweeping;
  };

  return {
    async take(target, content) {
      await swept();
      if (database === null) return null;
      const rows = await database
        .read(['parts'], (store) => store('parts').getAll())
        .catch((): unknown[] => []);
      const fitting = (rows as PartRow[])
        .filter((row) => row.target === target && row.content === content)
        .sort((a, b) => b.changedMs - a.changedMs);
      for (const { id } of fitting) {
        const release = await locks.hold(lockName(id)).catch(() => null);
        if (release === null) continue;
        try {
          // Between the list and the lock another page may have finished it.
          const row = await rowOf(id);
          if (row !== undefined) {
            const file = await folder.getFileHandle(id);
            const ledger = listOf(database, row, { list: row.list, clock });
            const runs = apart(await runsOf(database, row));
            return held(row, file, { ledger, runs }, release);
          }
        } catch (error) {
          // A page that ended between its last two steps has left the list without the file.
          if ((error as Partial<Error>).name === 'NotFoundError') {
            await removePart(folder, database, id);
          }
        }
        await release();
      }
      return null;
    },
    async make(target, content) {
      await swept();
      const id = crypto.randomUUID().replaceAll('-', '').slice(0, 16);
      const release = (await locks.hold(lockName(id))) ?? NOTHING_HELD;
      try {
        const file = await folder.getFileHandle(id, { create: true });
        const row = { id, target, content, changedMs: clock.unixMs(), list: 0 };
        return held(row, file, null, release);
      } catch (error) {
        await release();
        throw error;
      }
    },
  };
}

function ledgerPlace(database: Database, row: PartRow, clock: Clock): LedgerPlace {
  return {
    create: (as) => listOf(database, row, { list: as === 'list' ? row.list : row.list + 1, clock }),
    async replace(draft) {
      await draft.close();
      const before = row.list;
      const list = before + 1;
      await database.write(BOTH, async (store) => {
        store('runs').delete(listRange(row.id, before));
        await store('parts').put({ ...row, list });
      });
      row.list = list;
    },
    async remove(...names) {
      await database
        .write(['runs'], async (store) => {
          for (const name of names) {
            store('runs').delete(listRange(row.id, name === 'list' ? row.list : row.list + 1));
          }
        })
        .catch(() => {});
    },
  };
}

/** A list in the database. Runs that come while one is written are written together. */
function listOf(
  database: Database,
  row: PartRow,
  { list, clock }: { readonly list: number; readonly clock: Clock },
): PartLedger {
  let count = 0;
  let isWhole = true;
  let last: Promise<void> = Promise.resolve();
  let waiting: RunRow[] = [];
  const write = async (): Promise<void> => {
    const rows = waiting;
    waiting = [];
    if (!isWhole || rows.length === 0) return;
    row.changedMs = clock.unixMs();
    await database.write(BOTH, async (store) => {
      await Promise.all([store('parts').put(row), ...rows.map((each) => store('runs').put(each))]);
    });
  };
  return {
    append({ offset, lengths, hashes }: ChunkRun): KeptRun {
      const n = count++;
      waiting.push({
        ...{ part: row.id, list, n, offset },
        ...{ lengths: lengths.slice(), hashes: hashes.slice() },
      });
      if (waiting.length === 1) {
        last = last.then(write).catch(() => {
          isWhole = false;
        });
      }
      return keptRun(n, offset, lengths);
    },
    async read({ position }) {
      await last;
      const found = (await database.read(['runs'], (store) =>
        store('runs').get([row.id, list, position]),
      )) as RunRow | undefined;
      if (found !== undefined) return found;
      const text = `"${row.target}" expected a list of chunks that can be read back`;
      throw new OrbweaverError('STORAGE_FAILED', text);
    },
    get isWhole() {
      return isWhole;
    },
    close: () => last,
  };
}

async function runsOf(database: Database, { id, list }: PartRow): Promise<KeptRun[]> {
  const rows = (await database.read(['runs'], (store) =>
    store('runs').getAll(listRange(id, list)),
  )) as RunRow[];
  return rows.map(({ n, offset, lengths }) => keptRun(n, offset, lengths));
}

function keptRun(position: number, offset: number, lengths: Uint32Array): KeptRun {
  const sizeBytes = lengths.reduce((sum, length) => sum + length, 0);
  return { offset, sizeBytes, chunkCount: lengths.length, position };
}

async function removePart(
  folder: StoredFolder,
  database: Database | null,
  id: string,
): Promise<void> {
  await folder.removeEntry(id).catch(() => {});
  await database
    ?.write(BOTH, async (store) => {
      store('runs').delete({ from: [id, 0, 0], to: [id, MOST, MOST] });
      store('parts').delete(id);
    })
    .catch(() => {});
}

const MOST = Number.MAX_SAFE_INTEGER;

function listRange(part: string, list: number): IdbRange {
  return { from: [part, list, 0], to: [part, list, MOST] };
}

function lockName(id: string): string {
  return `orbweaver-part-${id}`;
}
