import { OrbweaverError } from '../../errors.js';
import type { Clock } from '../../flow/index.js';
import type { ValueStore } from '../ports.js';

/**
 * Who may delete tables: one at a time, in this process and, by a lease in the store's values, in all of
 * them. Merging and removing must not meet, or a merge that read an entry before it was removed would
 * bring it back. Registering needs no lock.
 */
export interface TableLock {
  /** Null: somebody else has it. */
  tryTake(): Promise<HeldLock | null>;
  /** Waits for it. @throws OrbweaverError `RATE_LIMITED` after two minutes */
  take(): Promise<HeldLock>;
}

export interface HeldLock {
  /** Renews it where it is time to. @throws OrbweaverError `STORAGE_FAILED` when it is lost */
  check(): Promise<void>;
  release(): Promise<void>;
}

const INDEX_LEASE = 'leases/index';
const LEASE_MS = 60_000;
const RENEW_MS = 15_000;
const RETRY_MS = 250;
const MAX_WAIT_MS = 120_000;

interface Lease {
  readonly owner: string;
  /** Milliseconds since 1970. */
  readonly untilMs: number;
}

export function createTableLock(parts: {
  /** Absent: nobody else has the store open. */
  readonly values: ValueStore | undefined;
  readonly clock: Clock;
  /** A text that nobody else has. */
  readonly newOwner: () => string;
  /** Key of the value. @default that of the index */
  readonly lease?: string | undefined;
}): TableLock {
  const { values, clock, lease: key = INDEX_LEASE } = parts;
  let isTakenHere = false;
  const waiting: (() => void)[] = [];

  const freeHere = (): void => {
    isTakenHere = false;
    waiting.shift()?.();
  };

  async function write(owner: string, expected: string | null): Promise<string | null> {
    const lease: Lease = { owner, untilMs: clock.unixMs() + LEASE_MS };
    const bytes = new TextEncoder().encode(JSON.stringify(lease));
    return (await values?.write(key, bytes, expected)) ?? null;
  }

  async function takeInStore(): Promise<HeldLock | null> {
    if (values === undefined)
      return { check: async () => undefined, release: async () => freeHere() };
    const owner = parts.newOwner();
    const there = await values.read(key);
    if (there !== null && untilOf(there.bytes) > clock.unixMs()) return null;
    let version = await write(owner, there?.version ?? null);
    if (version === null) return null;
    let renewedMs = clock.unixMs();
    return {
      async check() {
        if (clock.unixMs() - renewedMs < RENEW_MS) return;
        version = version === null ? null : await write(owner, version);
        if (version === null) throw lost();
        renewedMs = clock.unixMs();
      },
      async release() {
        try {
          if (version !== null) await values.delete(key, version);
        } finally {
          freeHere();
        }
      },
    };
  }

  async function tryTake(): Promise<HeldLock | null> {
    if (isTakenHere) return null;
    isTakenHere = true;
    try {
      const held = await takeInStore();
      if (held === null) freeHere();
      return held;
    } catch (error) {
      freeHere();
      throw error;
    }
  }

  return {
    tryTake,
    async take() {
      const startedMs = clock.now();
      for (;;) {
        if (isTakenHere) await new Promise<void>((resolve) => waiting.push(resolve));
        const held = await tryTake();
        if (held !== null) return held;
        if (clock.now() - startedMs > MAX_WAIT_MS) {
          const message =
            'the index of the store is being merged by somebody else: try again later';
          throw new OrbweaverError('RATE_LIMITED', message);
        }
        await new Promise<void>((resolve) => clock.setTimer(RETRY_MS, resolve));
      }
    },
  };
}

/** What cannot be read is no lease. */
function untilOf(bytes: Uint8Array): number {
  try {
    const { untilMs } = JSON.parse(new TextDecoder().decode(bytes)) as Partial<Lease>;
    return typeof untilMs === 'number' ? untilMs : 0;
  } catch {
    return 0;
  }
}

function lost(): OrbweaverError {
  return new OrbweaverError('STORAGE_FAILED', 'the lease on the index was lost: it took too long');
}
