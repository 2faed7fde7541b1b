import { OrbweaverError } from '../errors.js';

/**
 * The part of IndexedDB that is used, as promises. Everything of one database is in the stores that
 * {@link openDatabase} makes; a transaction is over when its promise has settled.
 */

/** Stores, their keys, and what else they are found by. */
const STORES: readonly {
  readonly name: string;
  readonly keyPath: string | readonly string[];
  readonly autoIncrement?: boolean;
  readonly index?: string;
}[] = [
  // Of transfers: what there are, the lines of each, bytes beside them.
  { name: 'journals', keyPath: 'id' },
  { name: 'entries', keyPath: ['id', 'n'] },
  { name: 'blocks', keyPath: ['id', 'n'] },
  // Of shards: by which chunks they are found, how they are kept, their bytes.
  { name: 'shards', keyPath: 'id', autoIncrement: true, index: 'keys' },
  { name: 'uses', keyPath: 'id' },
  { name: 'shardBytes', keyPath: 'id' },
  // Of unfinished files: what there are, the chunks that are written in each.
  { name: 'parts', keyPath: 'id' },
  { name: 'runs', keyPath: ['part', 'list', 'n'] },
];
const VERSION = 2;

export type IdbKey = string | number | readonly (string | number)[];

/** Values of one store, inside of a transaction. Requests that fail end the transaction. */
export interface IdbStore {
  get(key: IdbKey): Promise<unknown>;
  getAll(range?: IdbRange): Promise<unknown[]>;
  count(range: IdbRange): Promise<number>;
  /** Primary keys of what the index of the store has under `key`. */
  keysBy(key: string): Promise<IdbKey[]>;
  put(value: unknown): Promise<IdbKey>;
  delete(key: IdbKey | IdbRange): void;
}

/** Keys from `from` to `to`, both included. */
export interface IdbRange {
  readonly from: IdbKey;
  readonly to: IdbKey;
}

export interface Database {
  /** @throws OrbweaverError `DISK_FULL`, `STORAGE_FAILED` */
  read<T>(
    stores: readonly string[],
    work: (store: (name: string) => IdbStore) => Promise<T>,
  ): Promise<T>;
  /** Resolves when all of it is stored. @throws OrbweaverError `DISK_FULL`, `STORAGE_FAILED` */
  write<T>(
    stores: readonly string[],
    work: (store: (name: string) => IdbStore) => Promise<T>,
  ): Promise<T>;
  close(): void;
}

/**
 * Opens a database of the page's origin, and makes it when there is none.
 * @throws OrbweaverError `STORAGE_FAILED` where there is no IndexedDB (some private windows)
 */
export async function openDatabase(name: string): Promise<Database> {
  const database = await told(name, async () => {
    const { indexedDB } = globalThis as unknown as { indexedDB?: RawFactory };
    if (indexedDB === undefined) throw new Error('no IndexedDB here');
    const request = indexedDB.open(name, VERSION);
    request.onupgradeneeded = () => {
      for (const { name: store, keyPath, autoIncrement = false, index } of STORES) {
        if (request.result.objectStoreNames.contains(store)) continue;
        const made = request.result.createObjectStore(store, { keyPath, autoIncrement });
        if (index !== undefined) made.createIndex(index, index, { multiEntry: true });
      }
    };
    return resultOf(request);
  });
  // A later version of this program, in another page, may change it then.
  database.onversionchange = () => database.close();
  const run = <T>(
    mode: 'readonly' | 'readwrite',
    stores: readonly string[],
    work: (store: (name: string) => IdbStore) => Promise<T>,
  ): Promise<T> =>
    told(name, async () => {
      const transaction = database.transaction(stores, mode);
      const over = new Promise<void>((resolve, reject) => {
        transaction.oncomplete = () => resolve();
        transaction.onabort = () => reject(transaction.error ?? new Error('it was given up'));
      });
      over.catch(() => {});
      const result = await work((store) => storeOf(transaction.objectStore(store)));
      if (mode === 'readwrite') await over;
      return result;
    });
  return {
    read: (stores, work) => run('readonly', stores, work),
    write: (stores, work) => run('readwrite', stores, work),
    close: () => database.close(),
  };
}

function storeOf(store: RawStore): IdbStore {
  return {
    get: (key) => resultOf(store.get(key)),
    getAll: (range) => resultOf(store.getAll(range === undefined ? undefined : rawRange(range))),
    count: (range) => resultOf(store.count(rawRange(range))),
    keysBy: (key) => resultOf(store.index('keys').getAllKeys(key)),
    put: (value) => resultOf(store.put(value)),
    delete(key) {
      store.delete(isRange(key) ? rawRange(key) : key);
    },
  };
}

function isRange(key: IdbKey | IdbRange): key is IdbRange {
  return typeof key === 'object' && 'from' in key;
}

function rawRange({ from, to }: IdbRange): unknown {
  const { IDBKeyRange } = globalThis as unknown as {
    IDBKeyRange: { bound(from: IdbKey, to: IdbKey): unknown };
  };
  return IDBKeyRange.bound(from, to);
}

function resultOf<T>(request: RawRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error ?? new Error('a request failed'));
  });
}

async function told<T>(name: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    const { name: kind = '', message = String(error) } = (error ?? {}) as Partial<Error>;
    const code = kind === 'QuotaExceededError' ? 'DISK_FULL' : 'STORAGE_FAILED';
    throw new OrbweaverError(code, `the database "${name}" failed: ${message}`, {}, error);
  }
}

interface RawRequest<T> {
  readonly result: T;
  readonly error: unknown;
  onsuccess: (() => void) | null;
  onerror: (() => void) | null;
}

interface RawFactory {
  open(
    name: string,
    version: number,
  ): RawRequest<RawDatabase> & { onupgradeneeded: (() => void) | null };
}

interface RawDatabase {
  readonly objectStoreNames: { contains(name: string): boolean };
  createObjectStore(
    name: string,
    options: { readonly keyPath: string | readonly string[]; readonly autoIncrement: boolean },
  ): { createIndex(name: string, path: string, options: { readonly multiEntry: boolean }): void };
  transaction(stores: readonly string[], mode: string): RawTransaction;
  onversionchange: (() => void) | null;
  close(): void;
}

interface RawTransaction {
  readonly error: unknown;
  oncomplete: (() => void) | null;
  onabort: (() => void) | null;
  objectStore(name: string): RawStore;
}

interface RawStore {
  get(key: IdbKey): RawRequest<unknown>;
  getAll(range: unknown): RawRequest<unknown[]>;
  count(range: unknown): RawRequest<number>;
  put(value: unknown): RawRequest<IdbKey>;
  delete(key: unknown): void;
  index(name: string): { getAllKeys(key: string): RawRequest<IdbKey[]> };
}
