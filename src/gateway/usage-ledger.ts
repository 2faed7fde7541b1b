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

/** Room that is kept for bytes which may come until then: an upload grant. */
export interface Held {
  readonly endMs: number;
  readonly bytes: number;
}

/** What is counted: what is there, and what room is kept. */
export interface Counted extends Usage {
  readonly held: readonly Held[];
}

/**
 * The count of what a tenant has: one value, changed by compare and swap, so that all gateways over one
 * store count together. Changes that come while one is being written are written together.
 *
 *     usage/bytes   {"version":1,"logicalBytes","storedBytes","held":[[<end, Unix seconds>,<bytes>],…]}
 *
 * What is held is summed up by the minute of its end, so there are as many entries as grants have minutes.
 */
export interface UsageLedger {
  /** Null: it was never counted. */
  read(): Promise<Counted | null>;
  /**
   * Makes of the count what `next` says; null: leaves it, and returns null. `next` may be called several
   * times.
   */
  change(next: (usage: Counted) => Counted | null): Promise<Counted | null>;
}

const HELD_STEP_S = 60;

/** All that is held. */
export function heldBytes({ held }: Counted): number {
  return held.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** With so much more held until then; a negative number gives it back. */
export function holding(usage: Counted, { endMs, bytes }: Held): Counted {
  const endS = Math.ceil(endMs / 1000 / HELD_STEP_S) * HELD_STEP_S;
  const ends = new Map(usage.held.map((each) => [each.endMs, each.bytes]));
  const sum = (ends.get(endS * 1000) ?? 0) + bytes;
  if (sum > 0) ends.set(endS * 1000, sum);
  else ends.delete(endS * 1000);
  return { ...usage, held: [...ends].map(([at, sumBytes]) => ({ endMs: at, bytes: sumBytes })) };
}

export const USAGE_KEY = 'usage/bytes';
const MAX_TRIES = 50;
const WAIT_MS = 20;

interface Waiting {
  readonly next: (usage: Counted) => Counted | null;
  readonly resolve: (usage: Counted | null) => void;
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

  async function load(): Promise<{ usage: Counted | null; version: string | null }> {
    const stored = await values.read(USAGE_KEY);
    if (stored === null) return { usage: null, version: null };
    return { usage: decode(stored.bytes, clock.unixMs()), version: stored.version };
  }

  /** One value for all of them, or none when all leave it. */
  async function writeAll(batch: readonly Waiting[]): Promise<void> {
    for (let tries = 0; ; tries++) {
      const { usage, version } = await load();
      let now: Counted = usage ?? { ...(await count()), held: [] };
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
function notNegative({ logicalBytes, storedBytes, held }: Counted): Counted {
  return {
    logicalBytes: Math.max(0, logicalBytes),
    storedBytes: Math.max(0, storedBytes),
    held,
  };
}

function encode({ held, ...usage }: Counted): Uint8Array {
  const ends = held.map(({ endMs, bytes }) => [endMs / 1000, bytes]);
  const more = ends.length === 0 ? {} : { held: ends };
  return new TextEncoder().encode(JSON.stringify({ version: 1, ...usage, ...more }));
}

/** What cannot be read was never counted; what was held until now is not any more. */
function decode(stored: Uint8Array, nowMs: number): Counted | null {
  try {
    const json = JSON.parse(new TextDecoder().decode(stored));
    const { version, logicalBytes, storedBytes, held = [] } = json;
    const isCount = (value: unknown): value is number =>
      Number.isSafeInteger(value) && Number(value) >= 0;
    if (version !== 1 || !isCount(logicalBytes) || !isCount(storedBytes)) return null;
    if (!Array.isArray(held)) return null;
    const left: Held[] = [];
    for (const [endS, bytes] of held) {
      if (!isCount(endS) || !isCount(bytes)) return null;
      if (endS * 1000 > nowMs) left.push({ endMs: endS * 1000, bytes });
    }
    return { logicalBytes, storedBytes, held: left };
  } catch {
    return null;
  }
}
