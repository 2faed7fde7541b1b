import type { Clock } from '../../flow/index.js';
import type { ValueStore } from '../ports.js';
import { keySegments, prefixSegments } from './key-path.js';
import { checkValue } from './value-limits.js';

interface Held {
  readonly bytes: Uint8Array;
  readonly version: string;
  readonly modifiedMs: number;
}

/** Values in a Map. */
export function createMemoryValues(clock: Pick<Clock, 'unixMs'>): ValueStore {
  const values = new Map<string, Held>();
  let writes = 0;
  const find = (key: string): Held | undefined => {
    keySegments(key);
    return values.get(key);
  };
  return {
    async read(key) {
      const held = find(key);
      return held === undefined ? null : { bytes: held.bytes.slice(), version: held.version };
    },
    async write(key, bytes, expected) {
      checkValue(bytes);
      if ((find(key)?.version ?? null) !== expected) return null;
      const version = `${++writes}`;
      values.set(key, { bytes: Uint8Array.from(bytes), version, modifiedMs: clock.unixMs() });
      return version;
    },
    async delete(key, expected) {
      return find(key)?.version === expected && values.delete(key);
    },
    async *list(prefix) {
      prefixSegments(prefix);
      for (const [key, { modifiedMs }] of [...values]) {
        if (key.startsWith(prefix)) yield { key, modifiedMs };
      }
    },
  };
}
