import { readdir, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { CliContext } from './context.js';

/** What a file that is fetched may have in common with those that Git LFS keeps on this machine. */
export interface LfsSeeds {
  /** Paths of files that may be another version of one of `sizeBytes`, the newest first. */
  for(sizeBytes: number): Promise<readonly string[]>;
}

/** A smaller file is fetched faster than others are looked at. */
const LEAST_BYTES = 4 * 1024 * 1024;
/** Files that are looked at for one: they are read and cut whole. */
const MOST_SEEDS = 3;
/** Versions of one file are taken to differ in size by less than this. */
const SIZE_RATIO = 1.5;

/** The files of a repository are listed once, when the first one is fetched. */
export function lfsSeeds({ env, cwd }: Pick<CliContext, 'env' | 'cwd'>): LfsSeeds {
  const folder = resolve(cwd, env['GIT_DIR'] || '.git', 'lfs', 'objects');
  let listed: ReturnType<typeof listFiles> | null = null;
  return {
    async for(sizeBytes) {
      if (sizeBytes < LEAST_BYTES) return [];
      listed ??= listFiles(folder);
      return (await listed)
        .filter(
          (file) =>
            file.sizeBytes < sizeBytes * SIZE_RATIO && sizeBytes < file.sizeBytes * SIZE_RATIO,
        )
        .sort((a, b) => b.modifiedMs - a.modifiedMs)
        .slice(0, MOST_SEEDS)
        .map(({ path }) => path);
    },
  };
}

interface KeptFile {
  readonly path: string;
  readonly sizeBytes: number;
  readonly modifiedMs: number;
}

/** Objects lie two folders deep; what cannot be read is none. */
async function listFiles(folder: string): Promise<readonly KeptFile[]> {
  const names = async (path: string): Promise<string[]> => readdir(path).catch(() => []);
  const found: KeptFile[] = [];
  for (const first of await names(folder)) {
    for (const second of await names(join(folder, first))) {
      for (const name of await names(join(folder, first, second))) {
        const path = join(folder, first, second, name);
        const stats = await stat(path).catch(() => null);
        if (stats?.isFile() !== true) continue;
        found.push({ path, sizeBytes: stats.size, modifiedMs: stats.mtimeMs });
      }
    }
  }
  return found;
}
