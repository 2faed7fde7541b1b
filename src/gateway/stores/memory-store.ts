import { OrbweaverError } from '../../errors.js';
import type { ObjectBody, ObjectEntry, ObjectInfo, ObjectRange, ObjectStore } from '../ports.js';
import { keySegments, prefixSegments } from './key-path.js';
import { bodyPieces, checkRange } from './store-body.js';

/**
 * Objects in a Map: for tests, demonstrations and short-lived gateways. `nowMs` is the time that
 * `modifiedMs` shows.
 *
 * @example
 * const store = createMemoryStore();
 * await store.put('files/abc', new Uint8Array([1])); // true, then false
 */
export function createMemoryStore(options: { nowMs?: () => number } = {}): ObjectStore {
  const nowMs = options.nowMs ?? Date.now;
  const objects = new Map<string, { bytes: Uint8Array; modifiedMs: number }>();

  const find = (key: string): { bytes: Uint8Array; modifiedMs: number } | undefined => {
    keySegments(key);
    return objects.get(key);
  };
  const slice = (key: string, bytes: Uint8Array, range?: ObjectRange): Uint8Array => {
    const { start, end } = checkRange(key, range, bytes.length);
    return bytes.slice(start, end);
  };

  return {
    async head(key: string): Promise<ObjectInfo | null> {
      const object = find(key);
      if (object === undefined) return null;
      return { sizeBytes: object.bytes.length, modifiedMs: object.modifiedMs };
    },

    async read(key: string, range?: ObjectRange): Promise<Uint8Array | null> {
      const object = find(key);
      return object === undefined ? null : slice(key, object.bytes, range);
    },

    async *stream(key: string, range?: ObjectRange): AsyncGenerator<Uint8Array> {
      const object = find(key);
      if (object === undefined) throw new OrbweaverError('NOT_FOUND', `no object "${key}"`);
      const bytes = slice(key, object.bytes, range);
      if (bytes.length > 0) yield bytes;
    },

    async put(key: string, body: ObjectBody): Promise<boolean> {
      keySegments(key);
      const pieces: Uint8Array[] = [];
      for await (const piece of bodyPieces(body)) pieces.push(piece.slice());
      if (objects.has(key)) return false;
      const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
      const bytes = new Uint8Array(length);
      let at = 0;
      for (const piece of pieces) {
        bytes.set(piece, at);
        at += piece.length;
      }
      objects.set(key, { bytes, modifiedMs: nowMs() });
      return true;
    },

    async *list(prefix: string): AsyncGenerator<ObjectEntry> {
      prefixSegments(prefix);
      for (const [key, object] of [...objects]) {
        if (!key.startsWith(prefix)) continue;
        yield { key, sizeBytes: object.bytes.length, modifiedMs: object.modifiedMs };
      }
    },

    async delete(key: string): Promise<boolean> {
      keySegments(key);
      return objects.delete(key);
    },
  };
}
