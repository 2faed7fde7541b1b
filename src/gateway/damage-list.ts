import type { Clock } from '../flow/index.js';
import type { ValueStore } from './ports.js';

/**
 * Objects that a scrub found damaged, as the value `scrub/damaged`: also where a store vouches for them,
 * because bits that turn without a write change nothing that it sees. An object of another version is
 * another one: what was uploaded again is trusted again.
 */
export interface DamageList {
  /** Whether this version of an object was found damaged. May be some seconds behind. */
  has(key: string, version: string): Promise<boolean>;
}

export const DAMAGE_KEY = 'scrub/damaged';
/** As many as fit one value with room to spare: a store with more has other troubles. */
export const MAX_DAMAGED = 4096;
const AGE_MS = 5_000;

export interface DamagedVersion {
  readonly key: string;
  readonly version: string;
}

/** What a value says; nothing where it says nothing that can be read. */
export function decodeDamage(bytes: Uint8Array | undefined): readonly DamagedVersion[] {
  try {
    const list = JSON.parse(new TextDecoder().decode(bytes ?? new Uint8Array(0))) as unknown;
    return Array.isArray(list) ? (list as DamagedVersion[]) : [];
  } catch {
    return [];
  }
}

export function createDamageList(parts: {
  readonly values: ValueStore | undefined;
  readonly clock: Clock;
}): DamageList {
  const { values, clock } = parts;
  let known: ReadonlySet<string> = new Set();
  let readMs = Number.NEGATIVE_INFINITY;
  let reading: Promise<void> | null = null;
  async function read(): Promise<void> {
    const askedMs = clock.now();
    const found = await values?.read(DAMAGE_KEY);
    known = new Set(decodeDamage(found?.bytes).map(({ key, version }) => `${key} ${version}`));
    readMs = askedMs;
  }
  return {
    async has(key, version) {
      if (values === undefined) return false;
      if (clock.now() - readMs >= AGE_MS) {
        reading ??= read().finally(() => {
          reading = null;
        });
        await reading;
      }
      return known.has(`${key} ${version}`);
    },
  };
}
