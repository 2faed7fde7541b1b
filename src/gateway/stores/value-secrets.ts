import { OrbweaverError } from '../../errors.js';
import { type RandomBytes, systemRandomBytes } from '../../platform/index.js';
import type { ValueStore } from '../ports.js';
import { isTokenKeyId, type TokenKeys } from '../token-keys.js';
import { type KeptSecrets, newSecrets, parseSecrets } from './disk-secrets.js';
import { keyText, parseKey } from './disk-token-keys.js';

/**
 * The secrets of a store that is no folder, as values of it: in the same form as in the files of a folder,
 * and made in the same way, by whoever is first. Who can read the bucket can read them, and could read all
 * data without them.
 */
const SECRETS_KEY = 'gateway/secrets';
const TOKEN_KEYS_PREFIX = 'gateway/token-keys/';

/** @throws OrbweaverError `STORAGE_FAILED` when they cannot be read, or are none of ours */
export async function secretsInValues(
  values: ValueStore,
  random: RandomBytes = systemRandomBytes,
): Promise<KeptSecrets> {
  const where = `the value ${SECRETS_KEY}`;
  const read = async (): Promise<KeptSecrets | null> => {
    const value = await values.read(SECRETS_KEY);
    return value === null ? null : parseSecrets(where, textOf(value.bytes));
  };
  const kept = await read();
  if (kept !== null) return kept;
  const text = newSecrets(random);
  // Null: another gateway was first, whose secrets are in it now.
  const written = await values.write(SECRETS_KEY, new TextEncoder().encode(text), null);
  return (written === null ? await read() : null) ?? parseSecrets(where, text);
}

/** Keys of signed tokens as values, for all gateways over the store. */
export function tokenKeysInValues(values: ValueStore): TokenKeys {
  return {
    async list() {
      const keys = [];
      for await (const { key } of values.list(TOKEN_KEYS_PREFIX)) {
        const id = key.slice(TOKEN_KEYS_PREFIX.length);
        const value = isTokenKeyId(id) ? await values.read(key) : null;
        if (value !== null) keys.push(parseKey(`the value ${key}`, id, textOf(value.bytes)));
      }
      return keys;
    },
    async add(key) {
      const bytes = new TextEncoder().encode(keyText(key));
      if ((await values.write(TOKEN_KEYS_PREFIX + key.id, bytes, null)) !== null) return;
      throw new OrbweaverError('STORAGE_FAILED', `there is a token key ${key.id} already`);
    },
    async remove(id) {
      if (!isTokenKeyId(id)) return false;
      const value = await values.read(TOKEN_KEYS_PREFIX + id);
      return value !== null && values.delete(TOKEN_KEYS_PREFIX + id, value.version);
    },
  };
}

function textOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes);
}
