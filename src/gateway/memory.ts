import { Budget, type Clock } from '../flow/index.js';
import { XORB_ACCEPT_MAX_BYTES } from '../xorb/index.js';
import { type BodyMemory, createBodyMemory } from './body-memory.js';
import type { GatewaySettings } from './options.js';
import { MEMORY_PER_SHARD_BYTE, SHARD_BODY_MAX_BYTES } from './shard-intake.js';

/**
 * Who gets how much of `maxMemory`. Each kind of route has a part of its own, so that none can take
 * what another needs:
 *
 *     xorb bodies 5/16 · shard bodies 3/16 · commits 1/16 · small bodies 1/16 · dedup 3/16 · caches 3/16
 *
 * Bodies take their memory while their bytes arrive; one body of each kind may go on to its largest
 * size when the part is used up (`body-memory.ts`). Reconstructions are written in slices while
 * they are read and hold none.
 */
export interface GatewayMemory {
  /** Counts all that is held, caches aside. */
  readonly whole: Budget;
  readonly xorbs: BodyMemory;
  readonly shards: BodyMemory;
  /** Commits and batches of clients of the Hub: what of them is in memory, their bodies are longer. */
  readonly commits: BodyMemory;
  /** Batches of reconstructions, telemetry. */
  readonly small: BodyMemory;
  /** Dedup responses: in the making, kept for the next question, and on their way. */
  readonly dedup: Budget;
  readonly cacheBytes: CacheBytes;
}

/** What each cache may hold. */
export interface CacheBytes {
  /** All of them. */
  readonly whole: number;
  /** Footers are asked for most often by far. */
  readonly footers: number;
  readonly files: number;
  /** Tables of the index. */
  readonly index: number;
  /** Outlines of shards. */
  readonly outlines: number;
  /** Folded terms. */
  readonly trees: number;
}

/** Bodies of JSON. */
export const SMALL_BODY_MAX_BYTES: number = 1024 * 1024;

export function createMemory(settings: GatewaySettings, clock: Clock): GatewayMemory {
  const { maxMemory, maxWaitingCount } = settings;
  const share = (sixteenths: number): number => Math.ceil((maxMemory * sixteenths) / 16);
  const whole = new Budget({ capacityBytes: maxMemory + XORB_ACCEPT_MAX_BYTES });
  const bodies = (sixteenths: number, largestBytes: number): BodyMemory =>
    createBodyMemory({
      parent: whole,
      capacityBytes: share(sixteenths),
      largestBytes,
      maxWaiting: maxWaitingCount,
      clock,
    });
  return {
    whole,
    xorbs: bodies(5, XORB_ACCEPT_MAX_BYTES),
    shards: bodies(3, SHARD_BODY_MAX_BYTES * MEMORY_PER_SHARD_BYTE),
    // One that holds more than half of this goes on by itself.
    commits: bodies(1, share(0.5)),
    small: bodies(1, SMALL_BODY_MAX_BYTES),
    dedup: whole.part(share(3)),
    cacheBytes: {
      whole: share(3),
      footers: share(1.5),
      files: share(0.25),
      index: share(0.5),
      outlines: share(0.5),
      trees: share(0.25),
    },
  };
}
