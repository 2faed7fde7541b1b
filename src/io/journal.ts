import { type FileHandle, open, readdir, readFile, rename, stat, unlink } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { JournalEntry, JournalSummary, Journals, TransferJournal } from '../client/ports.js';
import { SYSTEM_CLOCK } from '../platform/index.js';
import { encodeBlock, endOfBlocks, readBlocks } from './block-log.js';
import { outputError } from './errno.js';
import { makeFolder, syncFolder } from './folder.js';
import { isRunning, processStart } from './process-id.js';

/**
 * Transfers remembered on disk, one file each, one JSON object a line, only ever added to:
 *
 *     <folder>/<id>.ndjson             {"type":"begin",…}\n{"type":"ack",…}\n…
 *     <folder>/<id>.<pid>-<start>.ndjson   the same while a process writes to it
 *     <folder>/<id>.blocks             bytes beside the entries (`block-log.ts`), if there are some
 *     <folder>/<id>.list               the list of paths that it is about, if it was given one
 *
 * Taking one over is a rename, which only one of two processes can do: no lock is needed, and a
 * process that died leaves a name that says so. A last line without its end was torn by a crash: what
 * it was to say has not happened, so it is cut off.
 */

const SUFFIX = '.ndjson';
const BLOCKS_SUFFIX = '.blocks';
const LIST_SUFFIX = '.list';
/** Blocks become durable together, this long after the first of them. */
const SYNC_MS = 500;
const ID = /^[0-9a-z]{8,64}$/;
const OWNED = /^([0-9a-z]{8,64})\.(\d+)-(\d+)\.ndjson$/;
/** Far above what acknowledgements of 10,000,000 parts take. */
const MAX_JOURNAL_BYTES: number = 1024 ** 3;

/**
 * Journals in a folder, which is made when the first one is created. Only its owner may read it.
 *
 * @example
 * const journals = createJournals(defaultJournalFolder(process.env));
 * const journal = await journals.create({ type: 'begin', name: 'model.bin' });
 * await journal.append({ type: 'ack', index: 0 }, { durable: true });
 * await journal.close();
 */
export function createJournals(folder: string): Journals {
  const names = (): Promise<string[]> =>
    readdir(folder).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      throw outputError(error, folder);
    });
  const find = async (id: string): Promise<Found | null> => {
    if (!ID.test(id)) return null;
    for (const name of await names()) {
      const found = foundOf(name);
      if (found?.id === id) return found;
    }
    return null;
  };

  return {
    async create(begin, { durable = true, list } = {}) {
      await makeFolder(folder, { mode: 0o700 }).catch((error: unknown) => {
        throw outputError(error, folder);
      });
      const id = crypto.randomUUID().replaceAll('-', '').slice(0, 16);
      const path = join(folder, ownedName(id));
      const file = await open(path, 'ax', 0o600).catch((error: unknown) => {
        throw outputError(error, path);
      });
      const journal = openJournal({ folder, id, path, file, entries: [] });
      const first = list === undefined ? begin : { ...begin, listBytes: list.length };
      await journal.append(first, { durable });
      // After the entry, so that there is no list that nobody finds; its size says whether it is whole.
      if (list !== undefined) await writeList(besidePath(folder, id, LIST_SUFFIX), list);
      if (durable) await syncFolder(folder);
      return journal;
    },
    async open(id) {
      const found = await find(id);
      if (found === null || isBusy(found)) return null;
      const path = join(folder, ownedName(id));
      try {
        await rename(join(folder, found.name), path);
      } catch (error) {
        // Another process was quicker.
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
        throw outputError(error, path);
      }
      const { entries, wholeBytes } = await readEntries(path);
      const file = await open(path, 'a', 0o600).catch((error: unknown) => {
        throw outputError(error, path);
      });
      await file.truncate(wholeBytes);
      return openJournal({ folder, id, path, file, entries });
    },
    async list() {
      const summaries: JournalSummary[] = [];
      for (const name of await names()) {
        const found = foundOf(name);
        if (found === null) continue;
        try {
          const path = join(folder, name);
          const listPath = besidePath(folder, found.id, LIST_SUFFIX);
          const [{ mtimeMs, size }, { entries }, blocksBytes, listBytes] = await Promise.all([
            stat(path),
            readEntries(path),
            sizeOf(besidePath(folder, found.id, BLOCKS_SUFFIX)),
            sizeOf(listPath),
          ]);
          summaries.push({
            ...{ id: found.id, changedMs: mtimeMs, entries, busy: isBusy(found) },
            diskBytes: size + (blocksBytes ?? 0) + (listBytes ?? 0),
            ...(listBytes !== null && listBytes === entries[0]?.['listBytes'] ? { listPath } : {}),
          });
        } catch {
          // Taken over or dropped meanwhile.
        }
      }
      return summaries.sort((a, b) => b.changedMs - a.changedMs);
    },
    async drop(id) {
      const found = await find(id);
      if (found === null || isBusy(found)) return false;
      // Before the journal, without which nobody would find them.
      await removeBeside(folder, id);
      return unlink(join(folder, found.name)).then(
        () => true,
        () => false,
      );
    },
  };
}

interface Found {
  readonly id: string;
  readonly name: string;
  /** Null: nobody writes to it. */
  readonly owner: { readonly pid: number; readonly start: string } | null;
}

function foundOf(name: string): Found | null {
  const owned = OWNED.exec(name);
  if (owned !== null) {
    const [, id, pid, start] = owned as unknown as [string, string, string, string];
    return { id, name, owner: { pid: Number(pid), start } };
  }
  const id = name.endsWith(SUFFIX) ? name.slice(0, -SUFFIX.length) : '';
  return ID.test(id) ? { id, name, owner: null } : null;
}

function besidePath(folder: string, id: string, suffix: string): string {
  return resolve(folder, `${id}${suffix}`);
}

async function removeBeside(folder: string, id: string): Promise<void> {
  for (const suffix of [BLOCKS_SUFFIX, LIST_SUFFIX]) {
    await unlink(besidePath(folder, id, suffix)).catch(() => undefined);
  }
}

/** On the disk when it resolves: a size without the bytes would be taken for the list. */
async function writeList(path: string, list: Uint8Array): Promise<void> {
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      await file.appendFile(list);
      await file.datasync();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw outputError(error, path);
  }
}

/** Null: it is not there. */
function sizeOf(path: string): Promise<number | null> {
  return stat(path).then(
    ({ size }) => size,
    () => null,
  );
}

function ownedName(id: string): string {
  return `${id}.${process.pid}-${processStart(process.pid) ?? '0'}${SUFFIX}`;
}

function isBusy({ owner }: Found): boolean {
  return owner !== null && isRunning(owner.pid, owner.start);
}

async function readEntries(
  path: string,
): Promise<{ readonly entries: JournalEntry[]; readonly wholeBytes: number }> {
  const { size } = await stat(path);
  if (size > MAX_JOURNAL_BYTES) return { entries: [], wholeBytes: 0 };
  const bytes = await readFile(path);
  const entries: JournalEntry[] = [];
  let wholeBytes = 0;
  for (;;) {
    const end = bytes.indexOf(0x0a, wholeBytes);
    if (end < 0) break;
    const entry = entryOf(bytes.toString('utf8', wholeBytes, end));
    // Nothing behind a line that is damaged can be trusted to follow what came before.
    if (entry === null) break;
    entries.push(entry);
    wholeBytes = end + 1;
  }
  return { entries, wholeBytes };
}

function entryOf(line: string): JournalEntry | null {
  try {
    const value: unknown = JSON.parse(line);
    const isEntry = typeof value === 'object' && value !== null && 'type' in value;
    return isEntry && typeof value.type === 'string' ? (value as JournalEntry) : null;
  } catch {
    return null;
  }
}

interface OpenParts {
  readonly folder: string;
  readonly id: string;
  readonly path: string;
  readonly file: FileHandle;
  readonly entries: JournalEntry[];
}

function openJournal({ folder, id, path, file, entries }: OpenParts): TransferJournal {
  /** One write at a time: each waits for the one before, and a failed one fails all that follow. */
  let last: Promise<void> = Promise.resolve();
  let syncing: Promise<void> | null = null;
  let ended = false;
  /** The file of the blocks, opened with the first one, and what stops the next sync of both files. */
  let blocks: Promise<FileHandle> | null = null;
  let stopTimer: (() => void) | null = null;
  let syncingAll: Promise<void> = Promise.resolve();
  const blocksAt = besidePath(folder, id, BLOCKS_SUFFIX);

  const write = (line: string): Promise<void> => {
    last = last.then(async () => {
      // At the end of the file in one call, so that a crash tears the last line at most.
      await file.appendFile(line).catch((error: unknown) => {
        throw outputError(error, path);
      });
    });
    last.catch(() => undefined);
    return last;
  };
  /** One fsync for all that wait for one. */
  const sync = (): Promise<void> => {
    syncing ??= (async () => {
      await Promise.resolve();
      syncing = null;
      await file.datasync().catch((error: unknown) => {
        throw outputError(error, path);
      });
    })();
    return syncing;
  };
  const openBlocks = async (): Promise<FileHandle> => {
    const end = await endOfBlocks(blocksAt);
    const opened = await open(blocksAt, 'a', 0o600).catch((error: unknown) => {
      throw outputError(error, blocksAt);
    });
    await opened.truncate(end);
    return opened;
  };
  /** Never rejects: a disk that fails then has told so, or will, when something is written. */
  const syncAll = (): void => {
    stopTimer = null;
    syncingAll = (async () => {
      const opened = await blocks;
      await opened?.datasync();
      await file.datasync();
      await syncFolder(folder);
    })().catch(() => undefined);
  };
  const finish = async (sync: boolean): Promise<void> => {
    ended = true;
    await last.catch(() => undefined);
    const isUnsynced = stopTimer !== null;
    stopTimer?.();
    if (sync && isUnsynced) syncAll();
    await syncingAll;
    await blocks?.then((opened) => opened.close()).catch(() => undefined);
    await file.close();
  };

  return {
    id,
    entries,
    async append(entry, { durable = false } = {}) {
      if (ended) throw new TypeError('"journal" expected an open one');
      entries.push(entry);
      await write(`${JSON.stringify(entry)}\n`);
      if (durable) await sync();
    },
    async appendBlock(bytes) {
      if (ended) throw new TypeError('"journal" expected an open one');
      blocks ??= openBlocks();
      blocks.catch(() => undefined);
      last = last.then(async () => {
        const opened = await (blocks as Promise<FileHandle>);
        await opened.appendFile(encodeBlock(bytes)).catch((error: unknown) => {
          throw outputError(error, blocksAt);
        });
      });
      last.catch(() => undefined);
      await last;
      stopTimer ??= SYSTEM_CLOCK.setTimer(SYNC_MS, syncAll, { background: true });
    },
    blocks: () => readBlocks(blocksAt),
    async close() {
      if (ended) return;
      await finish(true);
      await rename(path, join(folder, `${id}${SUFFIX}`)).catch(() => undefined);
    },
    async drop() {
      if (!ended) await finish(false);
      await removeBeside(folder, id);
      await unlink(path).catch(() => unlink(join(folder, `${id}${SUFFIX}`)).catch(() => undefined));
    },
  };
}
