import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { OrbweaverError } from '../../errors.js';
import type { Clock } from '../../flow/index.js';
import { makeFolder, syncFolder } from '../../io/index.js';
import type { ValueEntry, ValueStore } from '../ports.js';
import { guarded, systemCode } from './disk-errors.js';
import { isMissing, namesIn, writeFully } from './disk-files.js';
import type { TemporaryFiles } from './disk-tmp.js';
import { keySegments, prefixSegments } from './key-path.js';
import { checkValue } from './value-limits.js';

/**
 * Values as folders of numbered versions, beside the objects under a name that no key begins with:
 *
 *     <folder>/_values/hub/refs/main/=41/<random>   superseded, goes ten minutes later
 *     <folder>/_values/hub/refs/main/=42/<random>   the value, version `42-<random>`
 *     <folder>/_values/hub/refs/main/=43/-          or: it was deleted
 *
 * A writer that has seen `=42` as the highest makes a folder with its file under a temporary name and
 * renames it to `=43`, which fails when there is one that is not empty. That is the whole of the
 * agreement: there is no lock, so a writer that is killed, at whatever point, blocks nobody, and it
 * holds between machines over a network file system, which renames in one step as well.
 *
 * Numbers only rise, and a deleted value leaves its mark, because a writer that has looked and not yet
 * renamed must not find its number free again. For the same reason a superseded version stays for a
 * while; a writer that was suspended for longer than that between its look and its rename says that it
 * does not know, which is an error.
 */

const VALUES_FOLDER = '_values';
const DELETED = '-';
const VERSION_FOLDER = /^=([1-9]\d{0,14})$/;

/** How long a superseded version stays, and how long a writer may take between look and rename. */
export const SUPERSEDED_MS: number = 10 * 60 * 1000;
/** Versions that vanish while they are read, one after another, before that is a fault. */
const MAX_LOOKS = 100;

interface Versions {
  /** 0: there never was one. */
  readonly highest: number;
  readonly superseded: readonly number[];
}

interface Found {
  readonly number: number;
  /** The file in it; null when there is no value. */
  readonly file: string | null;
}

export function createDiskValues(
  storeFolder: string,
  parts: {
    readonly temporary: TemporaryFiles;
    readonly sync: boolean;
    readonly clock: Pick<Clock, 'unixMs'>;
  },
): ValueStore {
  const { temporary, sync, clock } = parts;
  const root = join(storeFolder, VALUES_FOLDER);
  const folderOf = (key: string): string => join(root, ...keySegments(key));

  /** Makes `file` with `bytes` the version after `found`; false when there is one. */
  async function append(
    folder: string,
    { number }: Found,
    { file, bytes }: { readonly file: string; readonly bytes: Uint8Array },
    lookedMs: number,
  ): Promise<boolean> {
    const prepared = temporary.newPath();
    const path = join(folder, `=${number + 1}`);
    try {
      await mkdir(prepared);
      await writeFile(join(prepared, file), bytes, sync);
      await makeFolder(folder, { sync });
      try {
        await rename(prepared, path);
      } catch (error) {
        // Windows says EPERM for a folder that is there; a rename that may not be says the same.
        if (['ENOTEMPTY', 'EEXIST'].includes(systemCode(error))) return false;
        if ((await highestIn(folder)).highest > number) return false;
        throw error;
      }
      if (sync) await syncFolder(folder);
    } finally {
      await rm(prepared, { recursive: true, force: true });
    }
    if (clock.unixMs() - lookedMs < SUPERSEDED_MS) return true;
    if ((await highestIn(folder)).highest === number + 1) return true;
    const message = `writing took so long that others may have written in between: ${path}`;
    throw new OrbweaverError('STORAGE_FAILED', message, { path });
  }

  async function clean(folder: string, superseded: readonly number[]): Promise<void> {
    for (const number of superseded) {
      const next = await stat(join(folder, `=${number + 1}`)).catch(() => null);
      // Without the next one somebody else is cleaning. What is renamed keeps its other time.
      const sinceMs = next === null ? 0 : Math.max(next.mtimeMs, next.ctimeMs);
      if (clock.unixMs() - sinceMs < SUPERSEDED_MS) continue;
      await rm(join(folder, `=${number}`), { recursive: true, force: true }).catch(() => undefined);
    }
  }

  /** Writes or deletes, if the value has the version `expected`. */
  async function change(
    key: string,
    next: { readonly file: string; readonly bytes: Uint8Array },
    expected: string | null,
  ): Promise<string | null> {
    const folder = folderOf(key);
    return guarded(
      `writing the value "${key}"`,
      async () => {
        const lookedMs = clock.unixMs();
        const found = await currentIn(folder);
        if (versionOf(found) !== expected) return null;
        if (!(await append(folder, found, next, lookedMs))) return null;
        await clean(folder, (await highestIn(folder)).superseded);
        return versionOf({ number: found.number + 1, file: next.file }) ?? '';
      },
      storeFolder,
    );
  }

  return {
    async read(key) {
      const folder = folderOf(key);
      return guarded(`reading the value "${key}"`, async () => {
        for (let looks = 0; looks < MAX_LOOKS; looks++) {
          const found = await currentIn(folder);
          const version = versionOf(found);
          if (found.file === null || version === null) return null;
          try {
            const bytes = await readFile(join(folder, `=${found.number}`, found.file));
            return { bytes: new Uint8Array(bytes), version };
          } catch (error) {
            // Superseded for so long that it was removed: whatever is there now is newer.
            if (!isMissing(error)) throw error;
          }
        }
        throw vanishing(folder);
      });
    },

    async write(key, bytes, expected) {
      checkValue(bytes);
      return change(key, { file: randomName(), bytes }, expected);
    },

    async delete(key, expected) {
      return (await change(key, { file: DELETED, bytes: new Uint8Array(0) }, expected)) !== null;
    },

    list(prefix) {
      const segments = prefixSegments(prefix);
      const doing = `listing the values "${prefix}"`;
      return valuesBelow(join(root, ...segments), prefix.slice(0, -1), doing);
    },
  };
}

/** Values of the folders below `folder`, which is that of the key `key`. */
async function* valuesBelow(
  folder: string,
  key: string,
  doing: string,
): AsyncGenerator<ValueEntry> {
  const names = await guarded(doing, () => namesIn(folder));
  for (const name of names) {
    if (VERSION_FOLDER.test(name)) continue;
    const below = join(folder, name);
    const found = await guarded(doing, () => currentIn(below));
    if (found.file !== null) {
      const info = await stat(join(below, `=${found.number}`, found.file)).catch(() => null);
      yield { key: `${key}/${name}`, modifiedMs: info?.mtimeMs ?? Date.now() };
    }
    yield* valuesBelow(below, `${key}/${name}`, doing);
  }
}

/** The highest version and what is in it. */
async function currentIn(folder: string): Promise<Found> {
  for (let looks = 0; looks < MAX_LOOKS; looks++) {
    const { highest } = await highestIn(folder);
    if (highest === 0) return { number: 0, file: null };
    const [file] = await namesIn(join(folder, `=${highest}`));
    // An empty one is being removed: it was superseded since.
    if (file !== undefined) return { number: highest, file: file === DELETED ? null : file };
  }
  throw vanishing(folder);
}

async function highestIn(folder: string): Promise<Versions> {
  const numbers: number[] = [];
  for (const name of await namesIn(folder)) {
    const number = VERSION_FOLDER.exec(name)?.[1];
    if (number !== undefined) numbers.push(Number(number));
  }
  const highest = numbers.reduce((most, number) => Math.max(most, number), 0);
  return { highest, superseded: numbers.filter((number) => number < highest) };
}

function versionOf({ number, file }: Found): string | null {
  return file === null ? null : `${number}-${file}`;
}

function randomName(): string {
  return globalThis.crypto.randomUUID();
}

async function writeFile(path: string, bytes: Uint8Array, sync: boolean): Promise<void> {
  const file = await open(path, 'wx');
  try {
    await writeFully(file, bytes);
    if (sync) await file.sync();
  } finally {
    await file.close();
  }
}

function vanishing(path: string): OrbweaverError {
  const message = `the versions of a value vanish while they are read: ${path}`;
  return new OrbweaverError('STORAGE_FAILED', message, { path });
}
