import { totalmem } from 'node:os';
import { describe, expect, it, vi } from 'vitest';
import { cpuQuota } from '../../src/workers/cpu-quota.js';
import { defaultMaxMemory, defaultThreads } from '../../src/workers/machine.js';

const MIB = 1024 * 1024;

/** A reader of exactly these files. */
function filesOf(files: Readonly<Record<string, string>>): (path: string) => string {
  return (path) => {
    const text = files[path];
    if (text === undefined) throw new Error(`no ${path}`);
    return text;
  };
}

describe('the quota of processor time', () => {
  it.each([
    ['none that can be read', {}, Number.POSITIVE_INFINITY],
    [
      'version 2, no limit',
      { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': 'max 100000\n' },
      Number.POSITIVE_INFINITY,
    ],
    [
      'version 2, one and a half',
      { '/proc/self/cgroup': '0::/\n', '/sys/fs/cgroup/cpu.max': '150000 100000\n' },
      1.5,
    ],
    [
      'version 2, the least of a group and its parents',
      {
        '/proc/self/cgroup': '0::/pods/one\n',
        '/sys/fs/cgroup/pods/one/cpu.max': '400000 100000\n',
        '/sys/fs/cgroup/pods/cpu.max': '200000 100000\n',
      },
      2,
    ],
    [
      'version 1, a path of the host that is not seen in the container',
      {
        '/proc/self/cgroup': '12:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n',
        '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '50000\n',
        '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      },
      0.5,
    ],
    [
      'version 1, no limit',
      {
        '/proc/self/cgroup': '4:cpu,cpuacct:/\n',
        '/sys/fs/cgroup/cpu/cpu.cfs_quota_us': '-1\n',
        '/sys/fs/cgroup/cpu/cpu.cfs_period_us': '100000\n',
      },
      Number.POSITIVE_INFINITY,
    ],
  ])('%s', (_, files, expected) => {
    expect(cpuQuota(filesOf(files as Record<string, string>))).toBe(expected);
  });

  it('bounds the threads, and leaves at least one', () => {
    expect(defaultThreads(0.5)).toBe(1);
    expect(defaultThreads(1)).toBe(1);
    expect(defaultThreads(Number.POSITIVE_INFINITY)).toBeGreaterThanOrEqual(1);
  });
});

describe('the default bound of memory', () => {
  it.each([
    ['an eighth of the limit of the container', 256 * MIB, 32 * MIB],
    ['no less than what it takes to run', 8 * MIB, 4 * MIB],
    ['96 MiB at most', 64 * 1024 * MIB, Math.min(96 * MIB, Math.floor(totalmem() / 8))],
    [
      'that of the machine where there is no limit',
      0,
      Math.min(96 * MIB, Math.floor(totalmem() / 8)),
    ],
    [
      'the same where no limit is a huge number',
      2 ** 63,
      Math.min(96 * MIB, Math.floor(totalmem() / 8)),
    ],
  ])('is %s', (_, limit, expected) => {
    const limited = vi.spyOn(process, 'constrainedMemory').mockReturnValue(limit);
    try {
      expect(defaultMaxMemory()).toBe(expected);
    } finally {
      limited.mockRestore();
    }
  });
});
