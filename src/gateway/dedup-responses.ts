import { LRUCache } from 'lru-cache';
import { isOrbweaverError } from '../errors.js';
import { type Budget, type Clock, Owned, Scope } from '../flow/index.js';
import type { MerkleHash } from '../hash/index.js';
import { type BuiltDedup, buildDedup, type DedupAsk, type DedupBuildParts } from './dedup-build.js';
import { MAX_SHARDS } from './dedup-index.js';
import type { GatewaySecrets } from './secrets.js';
import type { StoreIndex } from './store-index.js';
import { createFlights, createTurns, mapLimited } from './turns.js';

/**
 * Responses to "who knows these chunks?". Chunks that the same shards know have the same response: one
 * is built at a time for all who ask, kept for a few seconds, and counted once however many are
 * reading it. Dedup is an optimisation: what cannot be had at once, for lack of memory or of turns, is
 * a chunk that nobody knows.
 */
export interface DedupResponses {
  /** Null: nobody knows any, or there is no room to find out. The caller gives it back. */
  find(question: DedupQuestion, options: FindOptions): Promise<Loan | null>;
  /** Something was registered or turned out to be damaged: builds anew from now on. */
  forget(): void;
  readonly buildCount: number;
}

/** What is asked. */
export interface DedupQuestion {
  readonly chunks: readonly MerkleHash[];
  /** Xorbs of which all chunks are wanted: those of a file. @default none */
  readonly xorbs?: readonly MerkleHash[] | undefined;
}

/** Who asks. */
export interface FindOptions {
  readonly scope: Scope;
  /** Told about what cannot be read; the response goes on without it. */
  readonly onFault: (error: unknown) => void;
}

/** Bytes that are valid, and counted, until they are given back. */
export interface Loan {
  readonly bytes: Uint8Array;
  readonly giveBack: () => void;
}

/** Largest response. The reference client keeps them in a cache of a few GB and reads them whole. */
export const DEDUP_RESPONSE_MAX_BYTES: number = 16 * 1024 * 1024;

/** What another gateway on the same store registers is seen after this at the latest. */
const KEEP_MS = 10_000;
const CONCURRENT_BUILDS = 2;
/** Questions that wait for a turn to build; the next is answered at once, with nothing. */
const MAX_WAITING = 64;

/** A question, and who can answer it. */
type Found = Omit<DedupAsk, 'findShards'> & { readonly asked: string };

interface Kept extends BuiltDedup {
  readonly owned: Owned<Uint8Array>;
  /** What was asked for; it decides what an incomplete response holds. */
  readonly asked: string;
  readonly builtMs: number;
}

/** Chunks of a question that are looked up at once. */
const CONCURRENT_LOOKUPS = 16;

export function createDedupResponses(parts: {
  readonly build: Omit<DedupBuildParts, 'key' | 'unixMs' | 'maxBytes' | 'onFault'>;
  readonly index: Pick<StoreIndex, 'shards'>;
  readonly secrets: GatewaySecrets;
  readonly clock: Clock;
  readonly memory: Budget;
  readonly maxBytes?: number | undefined;
  /** Has all that share `memory` drop what they keep. @default drops what is kept here */
  readonly onScarce?: (() => void) | undefined;
}): DedupResponses {
  const { index, secrets, clock, memory } = parts;
  const third = Math.floor(memory.capacityBytes / 3);
  const maxBytes = parts.maxBytes ?? Math.min(DEDUP_RESPONSE_MAX_BYTES, third);
  const kept = new LRUCache<string, Kept>({
    maxSize: Math.max(third, maxBytes),
    sizeCalculation: ({ bytes }) => Math.max(1, bytes.length),
    dispose: ({ owned }) => owned.release(),
  });
  const once = createFlights<Kept | null>();
  const turns = createTurns(CONCURRENT_BUILDS, MAX_WAITING);
  let generation = 0;
  let buildCount = 0;

  async function build(
    question: Found,
    { onFault }: FindOptions,
    name: string,
  ): Promise<Kept | null> {
    let reservation = memory.tryAcquire(maxBytes);
    if (reservation === null) {
      (parts.onScarce ?? (() => kept.clear()))();
      reservation = memory.tryAcquire(maxBytes);
    }
    if (reservation === null) return null;
    const held = reservation;
    const started = generation;
    buildCount++;
    try {
      const unixMs = clock.unixMs();
      const key = secrets.dedupKey(unixMs);
      const findShards = (known: MerkleHash): Promise<readonly MerkleHash[]> => index.shards(known);
      const ask = { ...question, findShards };
      const built = await buildDedup(ask, { ...parts.build, key, unixMs, maxBytes, onFault });
      held.resize(built.bytes.length);
      const owned = new Owned(built.bytes, () => held.release());
      // Something was registered meanwhile: for those who asked before, and nobody after.
      const builtMs = started === generation ? clock.now() : Number.NEGATIVE_INFINITY;
      const entry = { ...built, owned, asked: question.asked, builtMs };
      kept.set(name, entry);
      return entry;
    } catch (error) {
      held.release();
      throw error;
    }
  }

  /** Borrows what is good for the question. */
  function borrow({ bytes, isComplete, owned, ...of }: Kept, asked: string): Loan | null {
    if (!isComplete && of.asked !== asked) return null;
    // Dropped between being built and being borrowed: it goes with this reader.
    return { bytes, giveBack: owned.isHeld ? owned.borrow() : () => undefined };
  }

  function buildOnce(name: string, question: Found, options: FindOptions): Promise<Kept | null> {
    // Nobody's own: it goes on for the others when the first who asked is gone.
    const run = (): Promise<Kept | null> =>
      turns.take(new Scope(), () => build(question, options, name));
    return once(`${generation} ${name}`, run).catch(unlessBusy);
  }

  /** Which of the chunks are known, and to which shards, the newest of each chunk first. */
  async function lookUp({ chunks, xorbs = [] }: DedupQuestion): Promise<Found> {
    const lists = await mapLimited(chunks, CONCURRENT_LOOKUPS, (chunk) => index.shards(chunk));
    const shards = new Map<string, MerkleHash>();
    const longest = Math.max(0, ...lists.map((list) => list.length));
    // In turns, so that a chunk that all files share does not crowd out the others.
    for (let at = 0; at < longest && shards.size < MAX_SHARDS; at++) {
      for (const list of lists) {
        const shard = list[at];
        if (shard !== undefined) shards.set(shard.toString(), shard);
      }
    }
    const known = chunks.filter((_, i) => (lists[i] as readonly MerkleHash[]).length > 0);
    const asked = [...known, ...xorbs].join();
    return { chunks: known, shards: [...shards.values()].slice(0, MAX_SHARDS), xorbs, asked };
  }

  return {
    async find(question, options) {
      const { scope } = options;
      const found = await lookUp(question);
      if (found.shards.length + found.xorbs.length === 0) return null;
      const period = secrets.dedupKey(clock.unixMs());
      const texts = [period.join(), found.xorbs.join(), ...found.shards].join('\n');
      // Complete responses are the same for all chunks of these shards; others for these ones only.
      for (const name of [texts, `${found.asked}\n${texts}`]) {
        const known = kept.get(name);
        const isFresh = known !== undefined && clock.now() - known.builtMs < KEEP_MS;
        const entry = isFresh ? known : await scope.race(buildOnce(name, found, options));
        if (entry === null || entry.bytes.length === 0) return null;
        const loan = borrow(entry, found.asked);
        if (loan !== null) return loan;
      }
      return null;
    },
    forget() {
      generation++;
      kept.clear();
    },
    get buildCount() {
      return buildCount;
    },
  };
}

function unlessBusy(error: unknown): null {
  if (isOrbweaverError(error) && error.code === 'RATE_LIMITED') return null;
  throw error;
}
