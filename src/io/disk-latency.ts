import { dirname } from 'node:path';
import { createSlowShare } from './slow-share.js';

/**
 * Tells whether files are at hand: cached, or on a fast disk. A blocking call then takes some ten
 * microseconds, while an asynchronous one costs several times that in messages between threads; on
 * a slow disk or network it is the other way round, and nothing may block.
 *
 * The first call in a folder is never a blocking one: that of a server that is gone would not return,
 * and the whole process with it. A server that goes later, in the middle of a folder, does stop the process until
 * it is back: without blocking calls 20,000 files of 200 bytes took 7.6 s of processor time instead of 2.5 s (dry
 * runs, medians of three on two busy cores, Node 20), which everybody would pay for a case in which the upload
 * cannot go on either.
 *
 * One of these serves all small files of an upload.
 */
export interface DiskLatency {
  /** True: a blocking call is the cheaper one now, for a file of this path. */
  isQuick(path: string): boolean;
  /** Runs a blocking call and notes how long it took. */
  measure<T>(call: () => T): T;
  /** Waits for an asynchronous call, and knows then whether the folder of `path` answers in time. */
  learn<T>(path: string, call: () => Promise<T>): Promise<T>;
}

/** What a blocking call may take: a cached file takes a twentieth of it. */
const QUICK_MS = 0.5;
/**
 * On a slow disk every other call is slow (the first touch of a name, of its bytes); on a busy machine a
 * few are now and then.
 */
const MOST_SLOW = 0.25;
/** What the first, asynchronous call in a folder may take: it waits for its turn besides. */
const PROMPT_MS = 50;
/** Folders that are remembered. */
const MAX_FOLDERS = 4096;

export function createDiskLatency(nowMs: () => number = () => performance.now()): DiskLatency {
  const share = createSlowShare({ mostSlow: MOST_SLOW, weight: 1 / 16, retryAfter: 1024 });
  const folders = new Set<string>();
  return {
    isQuick: (path) => share.quick && folders.has(dirname(path)),
    measure(call) {
      const startedMs = nowMs();
      try {
        return call();
      } finally {
        share.note(nowMs() - startedMs > QUICK_MS);
      }
    },
    async learn(path, call) {
      const startedMs = nowMs();
      try {
        return await call();
      } finally {
        if (nowMs() - startedMs <= PROMPT_MS) {
          if (folders.size >= MAX_FOLDERS) folders.clear();
          folders.add(dirname(path));
        }
      }
    },
  };
}
