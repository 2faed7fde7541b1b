import { availableParallelism, totalmem } from 'node:os';
import { cpuQuota } from './cpu-quota.js';
import { DEFAULT_MAX_MEMORY_BYTES, DEFAULT_MAX_THREADS } from './defaults.js';
import { MIN_MAX_MEMORY_BYTES } from './memory-plan.js';

/**
 * Default of `maxMemory`: the smaller of 96 MiB and an eighth of what this process may use (the
 * limit of its container included), never below {@link MIN_MAX_MEMORY_BYTES}.
 */
export function defaultMaxMemory(): number {
  // 0 or undefined: no limit. Some kernels report "no limit" as a huge number.
  const limit = process.constrainedMemory() || Number.MAX_SAFE_INTEGER;
  const usable = Math.min(limit, totalmem());
  return Math.max(MIN_MAX_MEMORY_BYTES, Math.min(DEFAULT_MAX_MEMORY_BYTES, Math.floor(usable / 8)));
}

/** Default of `threads`: what the machine, or its container, runs at once, at most 8. */
export function defaultThreads(quota: number = cpuQuota()): number {
  return Math.max(1, Math.min(DEFAULT_MAX_THREADS, availableParallelism(), Math.ceil(quota)));
}
