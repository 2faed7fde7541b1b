import type { FileHandle } from 'node:fs/promises';
import type { Clock } from '../../flow/index.js';
import { systemCode } from './disk-errors.js';
import { openExisting } from './disk-files.js';

/**
 * Files of immutable objects, kept open between reads: opening, looking and closing cost several
 * times what a small read does.
 */

/** A file that stays open until `release`. */
export interface LeasedFile {
  readonly file: FileHandle;
  readonly sizeBytes: number;
  /** To be called once, after the last read has ended. */
  release(): Promise<void>;
}

export interface OpenFiles {
  /** Null when there is no plain file (a folder opens too, and fails only when it is read). */
  lease(path: string): Promise<LeasedFile | null>;
  /** Opens anew next time: for a file that was removed. */
  forget(path: string): Promise<void>;
  /** Runs what opens a file, once more when the system had no descriptor left and we had spare ones. */
  withRoom<Result>(run: () => Promise<Result>): Promise<Result>;
  /** Closes what nobody reads. */
  closeIdle(): Promise<void>;
}

/** Descriptors kept for later; what is being read comes on top. Systems allow 256 to 1024 by default. */
export const MAX_IDLE_FILES = 64;
/** Long enough for a reader that fetches range after range, short against anyone who cleans up. */
const KEEP_OPEN_MS = 10_000;

interface Entry {
  readonly path: string;
  readonly file: FileHandle;
  readonly sizeBytes: number;
  users: number;
  idleSinceMs: number;
  /** Closed when its last reader is done. */
  forgotten: boolean;
}

/** @param clock for the age of files that nobody reads */
export function createOpenFiles(clock: Clock): OpenFiles {
  const entries = new Map<string, Entry>();
  const opening = new Map<string, Promise<Entry | null>>();
  /** In the order in which they came to rest. */
  const idle = new Set<Entry>();
  let stopWatch: (() => void) | null = null;

  const closeEntry = async (entry: Entry): Promise<void> => {
    idle.delete(entry);
    if (entries.get(entry.path) === entry) entries.delete(entry.path);
    await entry.file.close();
  };
  const closeWhere = async (isDue: (entry: Entry) => boolean): Promise<void> => {
    await Promise.all([...idle].filter(isDue).map(closeEntry));
  };
  const watch = (): void => {
    const look = (): void => {
      stopWatch = null;
      const beforeMs = clock.now() - KEEP_OPEN_MS;
      closeWhere((entry) => entry.idleSinceMs <= beforeMs).catch(() => undefined);
      if (idle.size > 0) watch();
    };
    stopWatch ??= clock.setTimer(KEEP_OPEN_MS, look, { background: true });
  };
  const rest = async (entry: Entry): Promise<void> => {
    entry.users--;
    if (entry.users > 0) return;
    if (entry.forgotten) {
      await entry.file.close();
      return;
    }
    entry.idleSinceMs = clock.now();
    idle.add(entry);
    watch();
    const [oldest] = idle;
    if (idle.size > MAX_IDLE_FILES && oldest !== undefined) await closeEntry(oldest);
  };
  const files: OpenFiles = {
    async lease(path) {
      const entry = entries.get(path) ?? (await openOnce(path));
      if (entry === null) return null;
      entry.users++;
      idle.delete(entry);
      const { file, sizeBytes } = entry;
      return { file, sizeBytes, release: () => rest(entry) };
    },
    async forget(path) {
      const entry = entries.get(path);
      if (entry === undefined) return;
      entries.delete(path);
      entry.forgotten = true;
      if (idle.has(entry)) await closeEntry(entry);
    },
    async withRoom(run) {
      try {
        return await run();
      } catch (error) {
        const code = systemCode(error);
        if (idle.size === 0 || (code !== 'EMFILE' && code !== 'ENFILE')) throw error;
        await files.closeIdle();
        return run();
      }
    },
    closeIdle: () => {
      stopWatch?.();
      stopWatch = null;
      return closeWhere(() => true);
    },
  };

  const openOnce = (path: string): Promise<Entry | null> => {
    const running = opening.get(path);
    if (running !== undefined) return running;
    const started = files
      .withRoom(() => openExisting(path))
      .then((opened) => {
        if (opened === null) return null;
        const entry = { path, ...opened, users: 0, idleSinceMs: clock.now(), forgotten: false };
        entries.set(path, entry);
        return entry;
      })
      .finally(() => opening.delete(path));
    opening.set(path, started);
    return started;
  };
  return files;
}
