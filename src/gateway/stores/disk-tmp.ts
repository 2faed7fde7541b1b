import { readFile, readlink, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Clock } from '../../flow/index.js';
import { isRunning } from '../../io/index.js';
import { guarded } from './disk-errors.js';
import { namesIn } from './disk-files.js';

/**
 * Files (and folders, of values) that are being written: `tmp/<machine>-<process>-<started>-<random>`.
 * What a process left behind goes at the next start in the same place, since its owner is known to be
 * dead; what nobody can tell goes when it is old, at a start and now and then while the store is in use.
 */
export interface TemporaryFiles {
  /** A path for a new one. */
  newPath(): string;
  /** Removes leftovers, unless that was done a short while ago. */
  clean(): Promise<void>;
}

/** Temporary files that were not written to for as long were left by a process that died. */
export const LEFTOVER_AGE_MS: number = 60 * 60 * 1000;
const CLEAN_EVERY_MS: number = 10 * 60 * 1000;

const NAME = /^([0-9a-f.]{1,40})-(\d{1,10})-(\d{1,16})-/;

export async function openTemporaryFiles(folder: string, clock: Clock): Promise<TemporaryFiles> {
  const machine = await machineTag();
  const startedMs = Math.round(performance.timeOrigin);
  const own = `${machine ?? '0'}-${process.pid}-${startedMs}-`;
  let cleanedMs = Number.NEGATIVE_INFINITY;

  function isDead(name: string): boolean {
    const match = NAME.exec(name);
    if (machine === null || match?.[1] !== machine || name.startsWith(own)) return false;
    const pid = Number(match[2]);
    // The first process of a container has the same number each time.
    return pid === process.pid || !isRunning(pid);
  }

  return {
    newPath: () => join(folder, own + globalThis.crypto.randomUUID()),
    async clean() {
      if (clock.now() - cleanedMs < CLEAN_EVERY_MS) return;
      cleanedMs = clock.now();
      const oldMs = clock.unixMs() - LEFTOVER_AGE_MS;
      for (const name of await guarded('cleaning the store', () => namesIn(folder))) {
        const path = join(folder, name);
        const info = await stat(path).catch(() => null);
        if (info === null || !(isDead(name) || info.mtimeMs < oldMs)) continue;
        await rm(path, { recursive: true, force: true }).catch(() => undefined);
      }
    },
  };
}

/**
 * This start of this machine and, within, the container: a process number means something only there.
 * Where the system does not say, nobody is known to be dead.
 */
async function machineTag(): Promise<string | null> {
  try {
    const boot = await readFile('/proc/sys/kernel/random/boot_id', 'latin1');
    const namespace = await readlink('/proc/self/ns/pid');
    return `${boot.slice(0, 8)}.${namespace.replace(/\D/g, '')}`;
  } catch {
    return null;
  }
}
