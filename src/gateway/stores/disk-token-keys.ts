import { mkdir, open, readdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { hexDecode, hexEncode } from '../../bytes/index.js';
import { OrbweaverError } from '../../errors.js';
import { syncFolder } from '../../io/index.js';
import { isTokenKeyId, type TokenKey, type TokenKeys } from '../token-keys.js';
import { guarded, systemCode } from './disk-errors.js';

/** A folder of files `<id>.json`, each a key, readable by their owner only. */
const FOLDER_NAME = 'token-keys';
const FILE = /^(.+)\.json$/;

/**
 * Keys of signed tokens that are kept in the folder of a store, for all gateways over it.
 *
 * Errors: `STORAGE_FAILED` when they cannot be read or written, or are none of ours.
 *
 * @example
 * const signer = createTokenSigner({ keys: keptTokenKeys('./store') });
 */
export function keptTokenKeys(directory: string): TokenKeys {
  const folder = join(resolve(directory), FOLDER_NAME);

  async function read(id: string): Promise<TokenKey | null> {
    const path = join(folder, `${id}.json`);
    try {
      return parseKey(path, id, await readFile(path, 'utf8'));
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return null;
      throw error;
    }
  }

  return {
    list: () =>
      guarded(`reading the keys in ${folder}`, async () => {
        const names = await readdir(folder).catch((error: unknown) => {
          if (systemCode(error) === 'ENOENT') return [];
          throw error;
        });
        const ids = names.map((name) => FILE.exec(name)?.[1] ?? '').filter(isTokenKeyId);
        return (await Promise.all(ids.map(read))).filter((key) => key !== null);
      }),
    add: (key) =>
      guarded(`storing a key in ${folder}`, async () => {
        await mkdir(folder, { recursive: true, mode: 0o700 });
        const temporary = join(folder, `.${key.id}`);
        const file = await open(temporary, 'wx', 0o600);
        try {
          await writeFile(file, keyText(key));
          await file.sync();
        } finally {
          await file.close();
        }
        await rename(temporary, join(folder, `${key.id}.json`));
        await syncFolder(folder);
      }),
    remove: (id) =>
      guarded(`deleting a key in ${folder}`, async () => {
        if (!isTokenKeyId(id)) return false;
        try {
          await unlink(join(folder, `${id}.json`));
          return true;
        } catch (error) {
          if (systemCode(error) === 'ENOENT') return false;
          throw error;
        }
      }),
  };
}

export function keyText({ id, createdMs, secret }: TokenKey): string {
  return `${JSON.stringify({ version: 1, id, createdMs, secret: hexEncode(secret) })}\n`;
}

/** @throws OrbweaverError `STORAGE_FAILED` for what is none of ours */
export function parseKey(path: string, id: string, text: string): TokenKey {
  try {
    const { version, createdMs, secret } = JSON.parse(text) as Record<string, unknown>;
    const isSecret = typeof secret === 'string' && /^[0-9a-f]{64}$/.test(secret);
    if (version === 1 && isSecret && typeof createdMs === 'number') {
      return { id, createdMs, secret: hexDecode(secret) };
    }
  } catch {
    // Not JSON: the same as other JSON. What was read is not shown.
  }
  const message = `${path} expected a key of signed tokens; delete it to have a new one made`;
  throw new OrbweaverError('STORAGE_FAILED', message, { path });
}
