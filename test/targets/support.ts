import type { JournalEntry, Source, TransferJournal } from '../../src/client/ports.js';
import type { Clock } from '../../src/flow/index.js';
import { createDigestMaker } from '../../src/workers/digest-maker.js';

/** Digests on the calling thread, for all tests. */
export const digests = createDigestMaker({ threads: 0 });

/** A clock whose short timers are due at once, and whose long ones only when it is told. */
export interface ImpatientClock extends Clock {
  /** Delays that were asked for and skipped, ms. */
  readonly slept: readonly number[];
  advance(ms: number): void;
}

/** Request timeouts are longer than this, pauses and polls shorter. */
const LONG_MS = 100_000;

export function impatientClock(startMs = 1_800_000_000_000): ImpatientClock {
  let nowMs = 0;
  const slept: number[] = [];
  const timers = new Set<{ readonly at: number; readonly run: () => void }>();
  return {
    slept,
    now: () => nowMs,
    unixMs: () => startMs + nowMs,
    setTimer(delayMs, run) {
      const timer = { at: nowMs + delayMs, run };
      timers.add(timer);
      if (delayMs < LONG_MS) {
        setImmediate(() => {
          if (!timers.delete(timer)) return;
          nowMs = Math.max(nowMs, timer.at);
          slept.push(delayMs);
          run();
        });
      }
      return () => timers.delete(timer);
    },
    advance(ms) {
      nowMs += ms;
      for (const timer of [...timers]) {
        if (timer.at <= nowMs && timers.delete(timer)) timer.run();
      }
    },
  };
}

/** Bytes as a source that counts its readers. */
export interface CountedSource extends Source {
  readonly opened: number;
  readonly readBytes: number;
}

export function countedSource(
  bytes: Uint8Array,
  { name = 'folder/a file.bin', reopenable = true, sizeBytes = bytes.length } = {},
): CountedSource {
  let opened = 0;
  let readBytes = 0;
  return {
    name,
    sizeBytes,
    reopenable,
    get opened() {
      return opened;
    },
    get readBytes() {
      return readBytes;
    },
    async open() {
      opened++;
      let at = 0;
      return {
        async read(into) {
          const piece = bytes.subarray(at, at + Math.min(into.length, 100_003));
          into.set(piece);
          at += piece.length;
          readBytes += piece.length;
          return piece.length;
        },
        close: async () => undefined,
      };
    },
  };
}

/** A journal in memory; with `crashAt` the process "dies" right after that many entries were written. */
export interface MemoryJournal extends TransferJournal {
  readonly state: 'open' | 'closed' | 'dropped';
}

/** What a crash throws: no code that anybody handles. */
export class Crash extends Error {}

export function memoryJournal(
  entries: readonly JournalEntry[] = [{ type: 'begin' }],
  crashAt: number = Number.POSITIVE_INFINITY,
): MemoryJournal {
  const kept: JournalEntry[] = [...entries];
  let state: MemoryJournal['state'] = 'open';
  let written = 0;
  let dead = false;
  return {
    id: 'memory',
    entries: kept,
    get state() {
      return state;
    },
    async append(entry) {
      if (dead) throw new Crash('dead');
      kept.push(entry);
      if (++written < crashAt) return;
      dead = true;
      throw new Crash('dead');
    },
    async appendBlock() {
      throw new Error('expected entries only');
    },
    async *blocks() {},
    async close() {
      state = 'closed';
    },
    async drop() {
      if (!dead) state = 'dropped';
    },
  };
}
