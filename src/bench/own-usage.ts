import { readFileSync } from 'node:fs';
import process from 'node:process';

/** What this process has used so far. */
export interface OwnUsage {
  /** User and system time of all threads. */
  readonly cpuMs: number;
  /** Peak resident memory. */
  readonly peakBytes: number;
}

/**
 * CPU time and peak memory of this process. On Linux the peak is `VmHWM`: the number of
 * `getrusage` also counts what the parent had resident when it forked.
 */
export function ownUsage(): OwnUsage {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  return { cpuMs: (userCPUTime + systemCPUTime) / 1000, peakBytes: linuxPeak() ?? maxRSS * 1024 };
}

function linuxPeak(): number | null {
  try {
    const match = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'));
    return match === null ? null : Number(match[1]) * 1024;
  } catch {
    return null;
  }
}
