import { type FileHandle, link, open, readFile, stat, unlink, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { hexDecode, hexEncode } from '../../bytes/index.js';
import { OrbweaverError } from '../../errors.js';
import type { Clock } from '../../flow/index.js';
import { makeFolder, syncFolder } from '../../io/index.js';
import { type RandomBytes, SYSTEM_CLOCK, systemRandomBytes } from '../../platform/index.js';
import { createToken } from '../tokens.js';
import { guarded, isReadOnly, lacksHardLinks, systemCode } from './disk-errors.js';

/**
 * The secrets of a store, `<folder>/secrets.json`, readable by its owner only: made at the first start
 * and the same from then on, so that tokens and fetch URLs outlive a restart and all gateways over one
 * folder take each other's.
 */
export interface KeptSecrets {
  /** 32 bytes that sign fetch URLs and derive the keys of dedup responses. */
  readonly secret: Uint8Array;
  readonly readToken: string;
  readonly writeToken: string;
  /** What an operator should know, or null. */
  readonly warning: string | null;
}

const FILE_NAME = 'secrets.json';
/** Where there are no hard links the file is there a moment before its text. */
const READ_TRIES = 100;
const READ_AGAIN_MS = 20;

/**
 * The secrets of the store in `directory`. Where nothing can be written they are new each time, with
 * a warning.
 *
 * @throws OrbweaverError `STORAGE_FAILED` when the file cannot be read or is none of ours
 */
export async function keptSecrets(
  directory: string,
  parts: { readonly random?: RandomBytes | undefined; readonly clock?: Clock | undefined } = {},
): Promise<KeptSecrets> {
  const { random = systemRandomBytes, clock = SYSTEM_CLOCK } = parts;
  const folder = resolve(directory);
  const path = join(folder, FILE_NAME);
  return guarded(`reading the secrets in ${path}`, async () => {
    const kept = await readKept(path, clock);
    if (kept !== null) return kept;
    const text = newSecrets(random);
    try {
      await makeFolder(folder);
      await create(path, join(folder, `${FILE_NAME}.${hexEncode(random(8))}`), text);
      await syncFolder(folder);
    } catch (error) {
      if (!isReadOnly(error)) throw error;
      const warning = `tokens and the URL secret last until the end of this process: ${path} cannot be written (${systemCode(error)})`;
      return { ...parseSecrets(path, text), warning };
    }
    // Not what was just written: somebody else may have been first.
    return (await readKept(path, clock)) ?? parseSecrets(path, text);
  });
}

/** Makes the file with all of its text in one step, unless there is one. */
async function create(path: string, temporary: string, text: string): Promise<void> {
  try {
    await writeSecret(await open(temporary, 'wx', 0o600), text);
    await link(temporary, path);
  } catch (error) {
    if (systemCode(error) === 'EEXIST') return;
    if (!lacksHardLinks(error)) throw error;
    const file = await open(path, 'wx', 0o600).catch((second: unknown) => {
      if (systemCode(second) === 'EEXIST') return null;
      throw second;
    });
    if (file !== null) await writeSecret(file, text);
  } finally {
    await unlink(temporary).catch(() => undefined);
  }
}

async function writeSecret(file: FileHandle, text: string): Promise<void> {
  try {
    await writeFile(file, text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function readKept(path: string, clock: Clock): Promise<KeptSecrets | null> {
  for (let tries = 0; ; tries++) {
    const text = await readFile(path, 'utf8').catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT') return null;
      throw error;
    });
    if (text === null) return null;
    if (text === '' && tries < READ_TRIES) {
      await new Promise<void>((done) => clock.setTimer(READ_AGAIN_MS, done));
      continue;
    }
    const { mode } = await stat(path);
    const isOpen = process.platform !== 'win32' && (mode & 0o077) !== 0;
    const warning = isOpen
      ? `${path} can be read by others (mode 0${(mode & 0o777).toString(8)}): chmod 600 it`
      : null;
    return { ...parseSecrets(path, text), warning };
  }
}

/** Text of secrets that are made anew. */
export function newSecrets(random: RandomBytes): string {
  const secrets = {
    version: 1,
    secret: hexEncode(random(32)),
    readToken: createToken(random),
    writeToken: createToken(random),
  };
  return `${JSON.stringify(secrets)}\n`;
}

/** @throws OrbweaverError `STORAGE_FAILED` for what is none of ours */
export function parseSecrets(path: string, text: string): KeptSecrets {
  try {
    const { version, secret, readToken, writeToken } = JSON.parse(text) as Record<string, unknown>;
    const isToken = (token: unknown): token is string =>
      typeof token === 'string' && /^[\x21-\x7e]{16,}$/.test(token);
    const isSecret = typeof secret === 'string' && /^[0-9a-f]{64}$/.test(secret);
    if (version === 1 && isSecret && isToken(readToken) && isToken(writeToken)) {
      return { secret: hexDecode(secret), readToken, writeToken, warning: null };
    }
  } catch {
    // Not JSON: the same as other JSON. What was read is not shown.
  }
  const message = `${path} expected the secrets of a gateway; delete it to have new ones made`;
  throw new OrbweaverError('STORAGE_FAILED', message, { path });
}
