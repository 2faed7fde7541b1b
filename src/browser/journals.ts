import type { JournalEntry, JournalSummary, Journals, TransferJournal } from '../client/ports.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import type { Database, IdbRange } from './indexed-db.js';
import { type Locks, NOTHING_HELD, pageLocks, type Release } from './locks.js';

/**
 * Unfinished transfers in the database of a page, as `io/journal.ts` has them in a folder: entries, and
 * blocks of bytes beside them, each in a transaction of its own, in the order of the calls. What was
 * written survives the end of the page; what the machine itself loses is the last moment.
 */

interface JournalRow {
  readonly id: string;
  changedMs: number;
  bytes: number;
}

interface EntryRow {
  readonly id: string;
  readonly n: number;
  readonly entry: JournalEntry;
}

interface BlockRow {
  readonly id: string;
  readonly n: number;
  readonly bytes: Uint8Array;
}

const ALL = ['journals', 'entries', 'blocks'];

export function createPageJournals(database: Database, locks: Locks = pageLocks()): Journals {
  const entriesOf = async (id: string): Promise<JournalEntry[]> => {
    const rows = await database.read(['entries'], (store) =>
      store('entries').getAll(ofJournal(id)),
    );
    return (rows as EntryRow[]).map(({ entry }) => entry);
  };
  const rowOf = (id: string): Promise<JournalRow | undefined> =>
    database.read(['journals'], (store) => store('journals').get(id)) as Promise<
      JournalRow | undefined
    >;
  return {
    async create(first) {
      const id = crypto.randomUUID().replaceAll('-', '').slice(0, 16);
      const release = (await locks.hold(lockName(id))) ?? NOTHING_HELD;
      const row = { id, changedMs: SYSTEM_CLOCK.unixMs(), bytes: 0 };
      const journal = new PageJournal(database, { row, entries: [], blockCount: 0, release });
      await journal.append(first);
      return journal;
    },
    async open(id) {
      const release = await locks.hold(lockName(id));
      if (release === null) return null;
      try {
        const row = await rowOf(id);
        if (row !== undefined) {
          const entries = await entriesOf(id);
          const blockCount = await countBlocks(database, id);
          return new PageJournal(database, { row, entries, blockCount, release });
        }
      } catch (error) {
        await release();
        throw error;
      }
      await release();
      return null;
    },
    async list() {
      const rows = await database.read(['journals'], (store) => store('journals').getAll());
      const held = await locks.held();
      const summaries: JournalSummary[] = [];
      for (const { id, changedMs, bytes } of rows as JournalRow[]) {
        const busy = held.has(lockName(id));
        summaries.push({ id, changedMs, entries: await entriesOf(id), busy, diskBytes: bytes });
      }
      return summaries.sort((a, b) => b.changedMs - a.changedMs);
    },
    async drop(id) {
      if ((await rowOf(id)) === undefined || (await locks.held()).has(lockName(id))) return false;
      await dropJournal(database, id);
      return true;
    },
  };
}

class PageJournal implements TransferJournal {
  readonly id: string;
  readonly entries: JournalEntry[];
  readonly #database: Database;
  readonly #row: JournalRow;
  readonly #release: Release;
  #blockCount: number;
  #isOver = false;

  constructor(
    database: Database,
    parts: {
      readonly row: JournalRow;
      readonly entries: JournalEntry[];
      readonly blockCount: number;
      readonly release: Release;
    },
  ) {
    this.#database = database;
    this.#row = parts.row;
    this.id = parts.row.id;
    this.entries = parts.entries;
    this.#blockCount = parts.blockCount;
    this.#release = parts.release;
  }

  append(entry: JournalEntry): Promise<void> {
    const n = this.entries.push(entry) - 1;
    return this.#put('entries', { id: this.id, n, entry }, JSON.stringify(entry).length);
  }

  appendBlock(bytes: Uint8Array): Promise<void> {
    const n = this.#blockCount++;
    return this.#put('blocks', { id: this.id, n, bytes: bytes.slice() }, bytes.length);
  }

  async *blocks(): AsyncGenerator<Uint8Array, void, undefined> {
    for (let n = 0; ; n++) {
      const row = await this.#database.read(['blocks'], (store) =>
        store('blocks').get([this.id, n]),
      );
      if (row === undefined) return;
      yield (row as BlockRow).bytes;
    }
  }

  async close(): Promise<void> {
    this.#isOver = true;
    await this.#release();
  }

  async drop(): Promise<void> {
    this.#isOver = true;
    await dropJournal(this.#database, this.id);
    await this.#release();
  }

  async #put(name: string, value: EntryRow | BlockRow, bytes: number): Promise<void> {
    if (this.#isOver) return;
    this.#row.changedMs = SYSTEM_CLOCK.unixMs();
    this.#row.bytes += bytes;
    await this.#database.write(['journals', name], async (store) => {
      await Promise.all([store('journals').put(this.#row), store(name).put(value)]);
    });
  }
}

function lockName(id: string): string {
  return `orbweaver-transfer-${id}`;
}

function ofJournal(id: string): IdbRange {
  return { from: [id, 0], to: [id, Number.MAX_SAFE_INTEGER] };
}

async function countBlocks(database: Database, id: string): Promise<number> {
  return database.read(['blocks'], (store) => store('blocks').count(ofJournal(id)));
}

function dropJournal(database: Database, id: string): Promise<void> {
  return database.write(ALL, async (store) => {
    store('entries').delete(ofJournal(id));
    store('blocks').delete(ofJournal(id));
    store('journals').delete(id);
  });
}
