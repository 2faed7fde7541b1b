import type { Clock } from '../flow/index.js';
import type { TokenKey, TokenKeys } from './token-keys.js';

const KEYS_GOOD_MS = 10_000;
/**
 * Names that are not known make the keys be read again, so many times at once and then once in a second:
 * anybody can make one up.
 */
const MAX_CREDIT = 10;
const CREDIT_MS = 1000;

function isNewer(a: TokenKey, b: TokenKey): boolean {
  return a.createdMs > b.createdMs || (a.createdMs === b.createdMs && a.id > b.id);
}

type Ring = ReadonlyMap<string, TokenKey>;

/** The keys in memory, read again now and then. */
export interface TokenRing {
  /** A key that is accepted; null: there is none of that name. */
  get(id: string): Promise<TokenKey | null>;
  /** The one that signs. Null: there is none yet. */
  newest(): Promise<TokenKey | null>;
}

export function createTokenRing(keys: TokenKeys, clock: Clock): TokenRing {
  let known: Ring = new Map();
  let readMs = Number.NEGATIVE_INFINITY;
  let readCount = 0;
  let reading: Promise<Ring> | null = null;
  let credit = MAX_CREDIT;
  let creditMs = clock.now();
  let waiting: Promise<void> | null = null;

  function read(): Promise<Ring> {
    readMs = clock.now();
    readCount++;
    const started = keys
      .list()
      .then((list) => {
        known = new Map(list.map((key) => [key.id, key]));
        return known;
      })
      .finally(() => {
        if (reading === started) reading = null;
      });
    reading = started;
    return started;
  }

  /** Waits until the keys may be read once more because of a name that is not known. */
  async function allowance(): Promise<void> {
    credit = Math.min(MAX_CREDIT, credit + (clock.now() - creditMs) / CREDIT_MS);
    creditMs = clock.now();
    credit -= 1;
    if (credit >= 0) return;
    await new Promise<void>((resolve) => clock.setTimer(Math.ceil(-credit * CREDIT_MS), resolve));
  }

  /** One that may have been added a moment ago: in a reading that starts from now on. */
  async function lookAgain(id: string): Promise<TokenKey | null> {
    const before = readCount;
    const underWay = await reading?.catch(() => null);
    if (underWay?.has(id) === true) return underWay.get(id) ?? null;
    if (readCount === before) {
      waiting ??= allowance().finally(() => {
        waiting = null;
      });
      await waiting;
    }
    const ring = readCount > before ? await (reading ?? known) : await read();
    return ring.get(id) ?? null;
  }

  return {
    async newest() {
      // None is looked for anew: whoever asks makes one then.
      const isFresh = known.size > 0 && clock.now() - readMs < KEYS_GOOD_MS;
      const [first = null, ...others] = (isFresh ? known : await read()).values();
      return others.reduce(
        (best, key) => (best !== null && isNewer(best, key) ? best : key),
        first,
      );
    },
    async get(id) {
      const key = known.get(id);
      if (key === undefined) return lookAgain(id);
      if (clock.now() - readMs < KEYS_GOOD_MS) return key;
      // A store that fails for a moment locks out nobody who was known before.
      const ring = await (reading ?? read()).catch(() => known);
      return ring.get(id) ?? null;
    },
  };
}
