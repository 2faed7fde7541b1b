import { bytesEqual } from '../../bytes/index.js';
import { OrbweaverError } from '../../errors.js';
import type { ValueStore } from '../ports.js';
import { keySegments, prefixSegments } from './key-path.js';
import { asked, type S3Place } from './s3-client.js';
import { isConflict, isNoObject, isOtherVersion } from './s3-errors.js';
import { listObjects } from './s3-list.js';
import { readObject } from './s3-read.js';
import { checkValue } from './value-limits.js';

/**
 * Values as objects below `_values/`, a name that no key begins with, written with `If-Match` and
 * `If-None-Match`:
 *
 *     16 random bytes | 1 | the value        its version is the ETag, which the random bytes make new
 *     16 random bytes                        it was deleted
 *
 * The mark of a deleted one stays, because few services delete on a condition. Whoever asked for a write
 * and did not hear the answer finds the random bytes again and knows that it was the one.
 */
const VALUES_PREFIX = '_values/';
const NONCE_BYTES = 16;
const MAX_CONFLICTS = 10;

interface Held {
  readonly stored: Uint8Array;
  readonly version: string;
}

export function createS3Values(place: S3Place): ValueStore {
  const { client, sdk, bucket, prefix } = place;
  const keyOf = (key: string): string => VALUES_PREFIX + keySegments(key).join('/');
  let proved: Promise<void> | null = null;

  /** The service has to refuse what its conditions forbid: one that ignores them loses changes. */
  async function prove(): Promise<void> {
    const key = `${VALUES_PREFIX}_probe/${globalThis.crypto.randomUUID()}`;
    const first = await send(key, nonce(), null);
    const second = await send(key, nonce(), null);
    const third = await send(key, nonce(), '"00000000000000000000000000000000"');
    await client
      .send(new sdk.DeleteObjectCommand({ Bucket: bucket, Key: prefix + key }))
      .catch(() => undefined);
    if (first !== null && second === null && third === null) return;
    const message = `bucket "${bucket}" (${place.where}) does not keep to If-Match and If-None-Match, which values that change need`;
    throw new OrbweaverError('STORAGE_FAILED', message, { bucket });
  }

  /** The new version; null when the condition does not hold. */
  async function send(
    key: string,
    stored: Uint8Array,
    expected: string | null,
  ): Promise<string | null> {
    const command = new sdk.PutObjectCommand({
      Bucket: bucket,
      Key: prefix + key,
      Body: stored,
      ContentLength: stored.length,
      ...(expected === null ? { IfNoneMatch: '*' } : { IfMatch: expected }),
    });
    return asked(place, 'writing a value', async () => {
      for (let conflicts = 0; ; ) {
        try {
          return (await client.send(command)).ETag ?? '';
        } catch (error) {
          if (isOtherVersion(error) || isNoObject(error)) return null;
          if (!isConflict(error) || ++conflicts > MAX_CONFLICTS) throw error;
        }
      }
    });
  }

  async function look(key: string): Promise<Held | null> {
    const read = await readObject(place, key);
    return read === null ? null : { stored: read.bytes, version: read.info.version };
  }

  async function change(
    key: string,
    stored: Uint8Array,
    expected: string | null,
  ): Promise<string | null> {
    proved ??= prove();
    await proved.catch((error: unknown) => {
      proved = null;
      throw error;
    });
    const written = await send(key, stored, expected);
    if (written !== null) return written;
    const there = await look(key);
    if (there === null) return null;
    if (bytesEqual(there.stored, stored)) return there.version;
    // Nothing is there for the caller, and the mark of a deleted one for the service.
    return expected === null && isDeleted(there) ? send(key, stored, there.version) : null;
  }

  return {
    async read(key) {
      const held = await look(keyOf(key));
      if (held === null || isDeleted(held)) return null;
      return { bytes: held.stored.slice(NONCE_BYTES + 1), version: held.version };
    },
    async write(key, bytes, expected) {
      checkValue(bytes);
      const stored = new Uint8Array(NONCE_BYTES + 1 + bytes.length);
      stored.set(nonce());
      stored[NONCE_BYTES] = 1;
      stored.set(bytes, NONCE_BYTES + 1);
      return change(keyOf(key), stored, expected);
    },
    async delete(key, expected) {
      const there = await look(keyOf(key));
      if (there === null || isDeleted(there) || there.version !== expected) return false;
      return (await change(keyOf(key), nonce(), expected)) !== null;
    },
    async *list(below) {
      prefixSegments(below);
      for await (const entry of listObjects(place, VALUES_PREFIX + below)) {
        if (entry.sizeBytes === NONCE_BYTES) continue;
        yield { key: entry.key.slice(VALUES_PREFIX.length), modifiedMs: entry.modifiedMs };
      }
    },
  };
}

function isDeleted({ stored }: Held): boolean {
  return stored.length === NONCE_BYTES;
}

function nonce(): Uint8Array {
  return globalThis.crypto.getRandomValues(new Uint8Array(NONCE_BYTES));
}
