import type { Clock } from '../flow/index.js';
import type { RandomBytes } from '../platform/index.js';
import { failure } from './failures.js';
import type { ValueStore } from './ports.js';

/** What a tenant has, in bytes. */
export interface Usage {
  /** Sum of the sizes of its files, each counted once. */
  readonly logicalBytes: number;
  /** What its xorbs take in the store; uploads that run count with what they announced. */
  readonly storedBytes: number;
}

/**
 * The count of what a tenant has: one value, changed by compare and swap, so that all gateways over one
 * store count together. Changes that come while one is being written are written together.
 *
 *     usage/bytes   {"version":1,"logicalBytes","storedBytes"}
 */
export interface UsageLedger {
  /** Null: it was never counted. */
  read(): Promise<Usage | null>;
  /**
   * Makes of the count what `next` says; null: leaves it, and returns null. `next` may be called several
   * times.
   */
  change(next: (usage: Usage) => Usage | null): Promise<Usage | null>;
}

export const USAGE_KEY = 'usage/bytes';
const MAX_TRIES = 50;
const WAIT_MS = 20;

interface Waiting {
  readonly next: (usage: Usage) => Usage | null;
  readonly resolve: (usage: Usage | null) => void;
  readonly reject: (error: unknown) => void;
}

/** @param count of what is there, when it was never counted */
export function createUsageLedger(parts: {
  readonly values: ValueStore;
  readonly clock: Clock;
  readonly random: RandomBytes;
  readonly count: () => Promise<Usage>;
}): UsageLedger {
  const { values, clock, random, count } = parts;
  let waiting: Waiting[] = [];
  let running = false;

  async function load(): Promise<{ usage: Usage | null; version: string | null }> {
    const stored = await values.read(USAGE_KEY);
    if (stored === null) return { usage: null, version: null };
    return { usage: decode(stored.bytes), version: stored.version };
  }

  /** One value for all of them, or none when all leave it. */
  async function writeAll(batch: readonly Waiting[]): Promise<void> {
    for (let tries = 0; ; tries++) {
      const { usage, version } = await load();
      let now = usage ?? (await count());
      const results = batch.map(({ next }) => {
        const changed = next(now);
        if (changed !== null) now = notNegative(changed);
        return changed === null ? null : now;
      });
      const isLeft = results.every((result) => result === null);
      if (isLeft || (await values.write(USAGE_KEY, encode(now), version)) !== null) {
        for (const [index, { resolve }] of batch.entries()) resolve(results[index] ?? null);
        return;
      }
      if (tries >= MAX_TRIES) {
        throw failure(503, 'RATE_LIMITED', 'too many uploads change the count of bytes at once');
      }
      // Whoever was faster goes on for a while; not all of the others at the same moment.
      const waitMs = WAIT_MS * (1 + (random(1)[0] as number) / 128);
      await new Promise<void>((resolve) => clock.setTimer(waitMs, resolve));
    }
  }

  async function run(): Promise<void> {
    running = true;
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      await writeAll(batch).catch((error: unknown) => {
        for (const { reject } of batch) reject(error);
      });
    }
    running = false;
  }

  return {
    read: async () => (await load()).usage,
    change: (next) =>
      new Promise((resolve, reject) => {
        waiting.push({ next, resolve, reject });
        if (!running) void run();
      }),
  };
}

/** Whatever went wrong before, nobody has less than nothing. */
function notNegative({ logicalBytes, storedBytes }: Usage): Usage {
  return { logicalBytes: Math.max(0, logicalBytes), storedBytes: Math.max(0, storedBytes) };
}

function encode(usage: Usage): Uint8Array {
  return new TextEncoder().encode(JSON.stringify({ version: 1, ...usage }));
}

/** What cannot be read was never counted. */
function decode(bytes: Uint8Array): Usage | null {
  try {
    const { version, logicalBytes, storedBytes } = JSON.parse(new TextDecoder().decode(bytes));
    const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;
    if (version !== 1 || !isCount(logicalBytes) || !isCount(storedBytes)) return null;
    return { logicalBytes, storedBytes };
  } catch {
    return null;
  }
}
