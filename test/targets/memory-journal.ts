import type { JournalEntry, TransferJournal } from '../../src/client/ports.js';

/** A journal in memory that survives what a test kills. */
export interface MemoryJournal extends TransferJournal {
  readonly entries: JournalEntry[];
  readonly dropped: boolean;
  /** All of it as it would lie on disk. */
  text(): string;
}

/** @param earlier what an earlier run wrote */
export function memoryJournal(earlier: readonly JournalEntry[] = []): MemoryJournal {
  const entries = [...earlier];
  let dropped = false;
  return {
    id: 'memory',
    entries,
    get dropped() {
      return dropped;
    },
    async append(entry) {
      // What does not survive JSON does not survive a disk.
      entries.push(JSON.parse(JSON.stringify(entry)) as JournalEntry);
    },
    async close() {},
    async drop() {
      dropped = true;
    },
    text: () => entries.map((entry) => JSON.stringify(entry)).join('\n'),
  };
}
