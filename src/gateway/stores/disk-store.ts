import type { Stats } from 'node:fs';
import { open, unlink } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { Clock } from '../../flow/index.js';
import { makeFolder } from '../../io/index.js';
import { checkOptions, is } from '../../options/index.js';
import { SYSTEM_CLOCK } from '../../platform/index.js';
import type { ObjectInfo, ObjectStore, StoreState } from '../ports.js';
import { diskSpace, guarded, isReadOnly, systemCode } from './disk-errors.js';
import { filesBelow, isMissing, openExisting, readFully, statOrNull } from './disk-files.js';
import { putObject, putPart } from './disk-put.js';
import { isSealed, seal } from './disk-seal.js';
import { openTemporaryFiles } from './disk-tmp.js';
import { createDiskValues } from './disk-values.js';
import { keyOfPath, keySegments, pathSegments, prefixSegments } from './key-path.js';
import { createOpenFiles } from './open-files.js';
import { checkRange } from './store-body.js';

/**
 * Objects as files below one folder:
 *
 *   <folder>/xorbs/ab/abcd…        the object `xorbs/abcd…` (fan-out by the first two characters)
 *   <folder>/chunks/ab/abcd…/1234… the object `chunks/abcd…/1234…`
 *   <folder>/tmp/<owner>           being written; linked to its final name when complete
 *   <folder>/_values/…             values that change: `disk-values.ts`
 *
 * A file under a final name is complete: it was written and flushed under a temporary name and then
 * linked, which fails when the name is taken, or renamed over one that is to be replaced. Where a
 * file system has no hard links, the temporary file is renamed instead: two writers of one key then
 * write the same content, because keys name it.
 */

/** Settings of {@link createDiskStore}. */
export interface DiskStoreOptions {
  /**
   * Flush objects and folders to the disk before `put` resolves, so that what was acknowledged
   * survives a power cut. Empty objects (dedup index entries) are never flushed one by one: losing
   * one costs a dedup hit, not data. @default true
   */
  readonly sync?: boolean | undefined;
  /** The time: for the age of leftovers and of open files. @default the clock of the machine */
  readonly clock?: Clock | undefined;
}

/**
 * Opens (and makes) a store in `directory` and removes leftovers of crashed writers. A folder that
 * is there and can only be read is opened all the same; `check` says so.
 *
 * @throws OrbweaverError `STORAGE_FAILED`, `DISK_FULL`
 * @example
 * const store = await createDiskStore('/var/lib/orbweaver');
 */
export async function createDiskStore(
  directory: string,
  options: DiskStoreOptions = {},
): Promise<ObjectStore> {
  checkOptions('createDiskStore', options, { sync: is.flag, clock: is.object });
  const folder = resolve(directory);
  const { sync = true, clock = SYSTEM_CLOCK } = options;
  const tmp = join(folder, 'tmp');
  const temporary = await openTemporaryFiles(tmp, clock);
  await guarded(`opening the store in ${folder}`, async () => {
    await makeFolder(folder, { sync });
    try {
      await makeFolder(tmp, { sync });
      await temporary.clean();
    } catch (error) {
      if (!isReadOnly(error)) throw error;
    }
  });
  const pathOf = (key: string): string => join(folder, ...pathSegments(keySegments(key)));
  const files = createOpenFiles(clock);
  const place = { temporary, sync, files, clock };

  return {
    async head(key) {
      const path = pathOf(key);
      return guarded(`looking at "${key}"`, async () => infoOf(path, await statOrNull(path)));
    },

    async read(key, range) {
      const path = pathOf(key);
      return guarded(`reading "${key}"`, async () => {
        const opened = await files.withRoom(() => openExisting(path));
        if (opened === null) return null;
        const { file, sizeBytes } = opened;
        try {
          const { start, end } = checkRange(key, range, sizeBytes);
          const bytes = new Uint8Array(end - start);
          await readFully(file, bytes, start, key);
          return bytes;
        } finally {
          await file.close();
        }
      });
    },

    async open(key) {
      const path = pathOf(key);
      const doing = `reading "${key}"`;
      const leased = await guarded(doing, () => files.lease(path));
      if (leased === null) return null;
      return {
        sizeBytes: leased.sizeBytes,
        readAt: (into, offset) => guarded(doing, () => readFully(leased.file, into, offset, key)),
        close: () => leased.release(),
      };
    },

    async put(key, body, putOptions = {}) {
      const path = pathOf(key);
      const run = (): Promise<boolean> => putObject(path, body, putOptions, place);
      return guarded(`storing "${key}"`, run, folder);
    },

    async putFrom(key, { key: from, version, endBytes, tail }, putOptions = {}) {
      const path = pathOf(key);
      const part = {
        path: pathOf(from),
        isMeant: (info: Stats) => versionOf(info) === version && info.size >= endBytes,
        endBytes,
        tail,
      };
      const run = (): Promise<boolean | null> => putPart(path, part, putOptions, place);
      return guarded(`storing "${key}"`, run, folder);
    },

    async seal(key, version) {
      const path = pathOf(key);
      await guarded(`marking "${key}"`, async () => {
        const opened = await files.withRoom(() => openExisting(path));
        if (opened === null) return;
        const { file, sizeBytes } = opened;
        try {
          if (versionOf(await file.stat()) !== version) return;
          await seal(file, basename(path), sizeBytes, clock.unixMs());
        } finally {
          await file.close();
        }
      });
    },

    async *list(prefix) {
      const segments = prefixSegments(prefix);
      const doing = `listing "${prefix}"`;
      const root = join(folder, ...pathSegments(segments));
      for await (const path of filesBelow(root, doing)) {
        const info = await guarded(doing, () => statOrNull(path));
        if (info === null) continue;
        yield { key: keyOf(folder, path), sizeBytes: info.size, modifiedMs: info.mtimeMs };
      }
    },

    async delete(key) {
      const path = pathOf(key);
      return guarded(`deleting "${key}"`, async () => {
        if ((await statOrNull(path)) === null) return false;
        await files.forget(path);
        try {
          await unlink(path);
          return true;
        } catch (error) {
          if (isMissing(error)) return false;
          throw error;
        }
      });
    },

    values: createDiskValues(folder, place),
    check: () => checkFolder(folder, temporary.newPath()),
    close: () => files.closeIdle(),
  };
}

function infoOf(path: string, info: Stats | null): ObjectInfo | null {
  if (info === null) return null;
  return {
    sizeBytes: info.size,
    modifiedMs: info.mtimeMs,
    version: versionOf(info),
    intact: isSealed(basename(path), info),
  };
}

/** What changes when anything writes to the file, or puts another one in its place. */
function versionOf({ ino, size, mtimeMs, ctimeMs }: Stats): string {
  return `${ino}-${size}-${mtimeMs}-${ctimeMs}`;
}

/** Below this a disk is as good as full: no xorb fits. */
const LEAST_FREE_BYTES = 64 * 1024 * 1024;

/** Writes a file, the only way to know that one can be written. */
async function checkFolder(folder: string, probe: string): Promise<StoreState> {
  const space = await diskSpace(folder);
  const freeBytes = space?.freeBytes ?? null;
  try {
    await guarded('writing a file', () => writeProbe(probe), folder);
  } catch (error) {
    const detail = `${folder}: ${(error as Error).message}`;
    if (isReadOnly(error)) return { state: 'read-only', detail, freeBytes };
    const isFull = systemCode(error) === 'DISK_FULL';
    return { state: isFull ? 'full' : 'failing', detail, freeBytes };
  }
  if (freeBytes !== null && freeBytes < LEAST_FREE_BYTES) {
    return { state: 'full', detail: `${folder}: ${freeBytes} bytes are free`, freeBytes };
  }
  if (space?.freeFiles === 0) {
    return { state: 'full', detail: `${folder}: no inodes are free`, freeBytes };
  }
  return { state: 'ok', detail: '', freeBytes };
}

async function writeProbe(path: string): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await file.write(new Uint8Array(1));
  } finally {
    await file.close();
    await unlink(path).catch(() => undefined);
  }
}

/** `<folder>/a/bc/bcd/e` is the key `a/bcd/e`. */
function keyOf(folder: string, path: string): string {
  return keyOfPath(path.slice(folder.length + 1).split(/[\\/]/));
}
