import { readFile, stat } from 'node:fs/promises';
import { OrbweaverError } from '../errors.js';
import type { Clock } from '../flow/index.js';
import type { NodeTls } from '../gateway/index.js';
import { checkOptions, is } from '../options/index.js';
import { SYSTEM_CLOCK } from '../platform/index.js';

/** Files with a certificate (and those between it and a root) and its key, both PEM. */
export interface TlsFiles {
  readonly cert: string;
  readonly key: string;
}

/** How often the files are looked at: certificates are renewed days before they end. */
const LOOK_EVERY_MS = 10_000;

/** @throws OrbweaverError `INPUT_UNREADABLE`, which names the file */
export async function readTls(files: TlsFiles): Promise<NodeTls> {
  const rule = is.required(is.text);
  checkOptions('tls', files, { cert: rule, key: rule });
  const [cert, key] = await Promise.all([readOne(files.cert), readOne(files.key)]);
  return { cert, key };
}

async function readOne(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    const message = `TLS: cannot read "${path}" (${code})`;
    throw new OrbweaverError('INPUT_UNREADABLE', message, { path, system: code }, error);
  }
}

/**
 * Has `use` take the files whenever they have changed. While they cannot be used (the certificate is new
 * and the key is not yet) what was there before stays, with one warning.
 *
 * @returns ends it
 */
export function followTls(
  files: TlsFiles,
  {
    use,
    onWarning,
    clock = SYSTEM_CLOCK,
  }: {
    readonly use: (tls: NodeTls) => void;
    readonly onWarning?: ((message: string) => void) | undefined;
    readonly clock?: Clock | undefined;
  },
): () => void {
  let ended = false;
  let stopTimer: (() => void) | null = null;
  let used = versionOf(files);
  let warned = '';

  async function look(): Promise<void> {
    const version = await versionOf(files);
    if (version === (await used)) return;
    try {
      use(await readTls(files));
      used = Promise.resolve(version);
    } catch (error) {
      if (warned === version) return;
      warned = version;
      onWarning?.(`the TLS files changed and cannot be used: ${(error as Error).message}`);
    }
  }

  const wait = (): void => {
    if (ended) return;
    stopTimer = clock.setTimer(LOOK_EVERY_MS, () => void look().finally(wait), {
      background: true,
    });
  };
  wait();
  return () => {
    ended = true;
    stopTimer?.();
  };
}

async function versionOf({ cert, key }: TlsFiles): Promise<string> {
  const infos = await Promise.all([cert, key].map((path) => stat(path).catch(() => null)));
  return infos.map((info) => `${info?.ino} ${info?.size} ${info?.mtimeMs}`).join(' ');
}
