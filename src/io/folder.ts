import { mkdir, open, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { errnoOf } from './errno.js';

/**
 * Makes a folder and those above it. Not `mkdir` with `recursive`: below `/proc`, where a name can be
 * refused as missing for ever, that never returns.
 *
 * @param options `mode`: rights of the folders that are made, before the umask; `sync`: they survive a
 * power cut, each being an entry of the one above it
 * @throws Error of the system, with the path of what could not be made
 */
export async function makeFolder(
  path: string,
  options: { readonly mode?: number | undefined; readonly sync?: boolean | undefined } = {},
): Promise<void> {
  const { mode = 0o777 } = options;
  try {
    await mkdir(path, { mode });
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' && dirname(path) !== path) {
      await makeFolder(dirname(path), options);
      await mkdir(path, { mode }).catch((second: unknown) => throwUnlessFolder(path, second));
    } else {
      await throwUnlessFolder(path, error);
      return;
    }
  }
  if (options.sync === true) await syncFolder(dirname(path));
}

/** Read-only file systems refuse even what is there, and not as existing. */
async function throwUnlessFolder(path: string, error: unknown): Promise<void> {
  const found = await stat(path).catch(() => null);
  if (found?.isDirectory() !== true) throw error;
}

/**
 * Makes a rename inside `folder` survive a power cut, where the system can do that: Windows and some
 * network file systems refuse to sync a folder, each with an error of its own.
 *
 * @throws Error of the system when the disk fails
 */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r').catch(() => null);
  if (handle === null) return;
  try {
    await handle.sync();
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'EIO' || errno === 'ENOSPC' || errno === 'EDQUOT') throw error;
  } finally {
    await handle.close();
  }
}
