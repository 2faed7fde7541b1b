import type { Clock } from '../../flow/index.js';
import { TABLES_PREFIX } from '../keys.js';
import type { ObjectStore } from '../ports.js';

/** A table, by what its key says. */
export interface TableName {
  /** The prefix of its kind and `<level>-<64 digits>`. */
  readonly key: string;
  /** 0: of one registration; above: merged of tables of the level below. */
  readonly level: number;
  readonly sizeBytes: number;
}

/** Which tables there are. */
export interface TableList {
  /** Under which these tables lie. */
  readonly prefix: string;
  /** As they were at most so long ago. */
  known(maxAgeMs: number): Promise<readonly TableName[]>;
  /** As they are: whatever was there when this is called is in it, or in a table that is. */
  refresh(): Promise<readonly TableName[]>;
  /** What this process put and deleted. */
  change(added: readonly TableName[], removed: readonly TableName[]): void;
}

export const MAX_LEVEL = 9;

export function tableKey(level: number, digits: string, prefix: string = TABLES_PREFIX): string {
  return `${prefix}${level}-${digits}`;
}

const NAME = new RegExp(`^([0-${MAX_LEVEL}])-[0-9a-f]{64}$`);
const MAX_LISTINGS = 8;

/** @param prefix one or more whole segments and a `/`. @default that of the index */
export function createTableList(
  store: ObjectStore,
  clock: Clock,
  prefix: string = TABLES_PREFIX,
): TableList {
  let tables: readonly TableName[] = [];
  let listedMs = Number.NEGATIVE_INFINITY;
  let running: Promise<readonly TableName[]> | null = null;
  let next: Promise<readonly TableName[]> | null = null;
  /** What changed here while a listing runs, which may have missed it. */
  const changes = new Map<string, TableName | null>();

  async function list(): Promise<Map<string, TableName>> {
    const found = new Map<string, TableName>();
    for await (const { key, sizeBytes } of store.list(prefix)) {
      const level = NAME.exec(key.slice(prefix.length))?.[1];
      if (level !== undefined) found.set(key, { key, level: Number(level), sizeBytes });
    }
    return found;
  }

  /**
   * A listing is not made in one moment: while somebody merges, it may look for the new table too early
   * and for the old ones too late. So it is made twice, and again while anything vanishes in between.
   */
  async function listSteadily(): Promise<Map<string, TableName>> {
    let before = await list();
    for (let count = 1; ; count++) {
      const after = await list();
      const isSteady = [...before.keys()].every((key) => after.has(key));
      if (isSteady || count === MAX_LISTINGS) return after;
      before = after;
    }
  }

  async function run(): Promise<readonly TableName[]> {
    changes.clear();
    const startedMs = clock.now();
    const found = await listSteadily();
    for (const [key, table] of changes) {
      if (table === null) found.delete(key);
      else found.set(key, table);
    }
    tables = [...found.values()];
    listedMs = startedMs;
    return tables;
  }

  function refresh(): Promise<readonly TableName[]> {
    if (running === null) {
      running = run().finally(() => {
        running = null;
      });
      return running;
    }
    // It may have looked already where something has come since: one more, for all who ask meanwhile.
    next ??= running
      .then(
        () => undefined,
        () => undefined,
      )
      .then(() => {
        next = null;
        return refresh();
      });
    return next;
  }

  return {
    prefix,
    async known(maxAgeMs) {
      if (clock.now() - listedMs <= maxAgeMs) return tables;
      return running ?? refresh();
    },
    refresh,
    change(added, removed) {
      const gone = new Set(removed.map(({ key }) => key));
      const here = new Set(added.map(({ key }) => key));
      tables = [...tables.filter(({ key }) => !gone.has(key) && !here.has(key)), ...added];
      for (const { key } of removed) changes.set(key, null);
      for (const table of added) changes.set(table.key, table);
    },
  };
}
