import { readFileSync } from 'node:fs';

/**
 * How many processors' worth of time this process may use: the quota of its control group, which Node
 * counts as processors from version 22 on only. A container with one of 64 processors would otherwise
 * get threads for all of them, and be stopped for most of every period.
 *
 * Version 2 says it in `cpu.max` ("max 100000", "150000 100000"), version 1 in two files; in both the
 * quota of a parent binds its children.
 *
 * @returns Infinity when there is no quota, or none that can be read
 */
export function cpuQuota(read: (path: string) => string = readText): number {
  let groups: string;
  try {
    groups = read('/proc/self/cgroup');
  } catch {
    return Number.POSITIVE_INFINITY;
  }
  let least = Number.POSITIVE_INFINITY;
  for (const line of groups.split('\n')) {
    const [, , controllers, path] = /^(\d+):([^:]*):(\/.*)$/.exec(line) ?? [];
    if (controllers === undefined || path === undefined) continue;
    const isUnified = controllers === '';
    if (!isUnified && !controllers.split(',').includes('cpu')) continue;
    const root = isUnified ? '/sys/fs/cgroup' : '/sys/fs/cgroup/cpu';
    for (const folder of foldersUpFrom(path)) {
      least = Math.min(least, quotaIn(`${root}${folder}`, isUnified, read));
    }
  }
  return least;
}

/** `/a/b` → `/a/b`, `/a`, and the root: in a container the path may be that of the host. */
function foldersUpFrom(path: string): string[] {
  const parts = path.split('/').filter((part) => part !== '');
  return Array.from({ length: parts.length + 1 }, (_, i) =>
    parts
      .slice(0, parts.length - i)
      .map((part) => `/${part}`)
      .join(''),
  );
}

function quotaIn(folder: string, isUnified: boolean, read: (path: string) => string): number {
  try {
    const [quota, period] = isUnified
      ? read(`${folder}/cpu.max`).trim().split(' ')
      : [read(`${folder}/cpu.cfs_quota_us`), read(`${folder}/cpu.cfs_period_us`)];
    const share = Number(quota) / Number(period);
    return share > 0 ? share : Number.POSITIVE_INFINITY;
  } catch {
    return Number.POSITIVE_INFINITY;
  }
}

function readText(path: string): string {
  return readFileSync(path, 'utf8');
}
