import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
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
export function lfsSeeds(context: Pick<CliContext, 'env' | 'cwd'>): LfsSeeds {
  let listed: ReturnType<typeof listFiles> | null = null;
  return {
    async for(sizeBytes) {
      if (sizeBytes < LEAST_BYTES) return [];
      listed ??= lfsFolder(context).then((folder) => listFiles(join(folder, 'objects')));
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

/**
 * Where Git LFS keeps what is its own. `.git` of a submodule or a worktree is a file that names a folder; that of
 * a worktree names the folder that all worktrees share, where git-lfs is.
 */
export async function lfsFolder({ env, cwd }: Pick<CliContext, 'env' | 'cwd'>): Promise<string> {
  const text = (path: string): Promise<string> => readFile(path, 'utf8').catch(() => '');
  const named = resolve(cwd, env['GIT_DIR'] || '.git');
  const link = /^gitdir: (.+)/.exec(await text(named))?.[1];
  const folder = link === undefined ? named : resolve(dirname(named), link.trimEnd());
  const common = env['GIT_COMMON_DIR'] || (await text(join(folder, 'commondir'))).trimEnd();
  return join(common === '' ? folder : resolve(folder, common), 'lfs');
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
