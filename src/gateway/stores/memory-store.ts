import type { Clock } from '../../flow/index.js';
import { checkOptions, is } from '../../options/index.js';
import { SYSTEM_CLOCK } from '../../platform/index.js';
import type { ObjectStore } from '../ports.js';
import { keySegments, prefixSegments } from './key-path.js';
import { createMemoryValues } from './memory-values.js';
import { bodyPieces, checkRange, fillFrom } from './store-body.js';

interface Held {
  readonly bytes: Uint8Array;
  readonly modifiedMs: number;
  readonly version: string;
}

/**
 * Objects in a Map: for tests, demonstrations and short-lived gateways. The clock says what
 * `modifiedMs` shows. It vouches for nothing (`intact` is false), so that whoever uses it looks.
 *
 * @example
 * const store = createMemoryStore();
 * await store.put('files/abc', new Uint8Array([1])); // true, then false
 */
export function createMemoryStore(options: { clock?: Clock | undefined } = {}): ObjectStore {
  checkOptions('createMemoryStore', options, { clock: is.object });
  const clock = options.clock ?? SYSTEM_CLOCK;
  const objects = new Map<string, Held>();
  let writes = 0;

  const find = (key: string): Held | undefined => {
    keySegments(key);
    return objects.get(key);
  };

  return {
    async head(key) {
      const object = find(key);
      if (object === undefined) return null;
      const { bytes, modifiedMs, version } = object;
      return { sizeBytes: bytes.length, modifiedMs, version, intact: false };
    },

    async read(key, range) {
      const object = find(key);
      if (object === undefined) return null;
      const { start, end } = checkRange(key, range, object.bytes.length);
      return object.bytes.slice(start, end);
    },

    async open(key) {
      const object = find(key);
      if (object === undefined) return null;
      const { bytes } = object;
      return {
        sizeBytes: bytes.length,
        readAt: async (into, offset) => fillFrom(key, bytes, into, offset),
        close: async () => undefined,
      };
    },

    async put(key, body, { replace = false } = {}) {
      keySegments(key);
      const pieces: Uint8Array[] = [];
      for await (const piece of bodyPieces(body)) pieces.push(piece.slice());
      if (objects.has(key) && !replace) return false;
      const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
      let at = 0;
      for (const piece of pieces) {
        bytes.set(piece, at);
        at += piece.length;
      }
      objects.set(key, { bytes, modifiedMs: clock.unixMs(), version: `${++writes}` });
      return true;
    },

    async putFrom(key, { key: from, version, endBytes, tail }, { replace = false } = {}) {
      keySegments(key);
      const source = find(from);
      if (source === undefined || source.version !== version) return null;
      if (objects.has(key) && !replace) return false;
      const { end } = checkRange(from, { start: 0, end: endBytes }, source.bytes.length);
      const bytes = new Uint8Array(end + tail.length);
      bytes.set(source.bytes.subarray(0, end));
      bytes.set(tail, end);
      objects.set(key, { bytes, modifiedMs: clock.unixMs(), version: `${++writes}` });
      objects.delete(from);
      return true;
    },

    async *list(prefix) {
      prefixSegments(prefix);
      for (const [key, { bytes, modifiedMs }] of [...objects]) {
        if (key.startsWith(prefix)) yield { key, sizeBytes: bytes.length, modifiedMs };
      }
    },

    async delete(key) {
      keySegments(key);
      return objects.delete(key);
    },

    values: createMemoryValues(clock),
  };
}
