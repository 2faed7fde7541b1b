import { type FileHandle, open } from 'node:fs/promises';
import type { RandomAccess } from '../client/ports.js';
import { OrbweaverError } from '../errors.js';
import { inputError } from './errno.js';
import { inputChanged } from './input-size.js';

/**
 * Opens a regular file for reads anywhere. `close` it when done.
 *
 * @throws OrbweaverError `INPUT_NOT_FOUND`, `INPUT_IS_DIRECTORY`, `INPUT_UNREADABLE` (also for a
 * pipe or device, which cannot be read anywhere)
 * @example
 * const access = await openRandomAccess('archive.zip');
 */
export async function openRandomAccess(path: string, name: string = path): Promise<RandomAccess> {
  const file = await open(path, 'r').catch((error: unknown) => {
    throw inputError(error, name);
  });
  return randomAccessOf(file, name);
}

/** The same for a file that is open already; it is closed by the result, or when it is none. */
export async function randomAccessOf(file: FileHandle, name: string): Promise<RandomAccess> {
  try {
    const stats = await file.stat();
    if (!stats.isFile()) {
      const [code, got] = stats.isDirectory()
        ? (['INPUT_IS_DIRECTORY', 'a directory'] as const)
        : (['INPUT_UNREADABLE', 'a pipe or device'] as const);
      throw new OrbweaverError(code, `"${name}" expected a regular file, got ${got}`, {
        path: name,
      });
    }
    return {
      name,
      sizeBytes: stats.size,
      async readAt(into, offset) {
        let filled = 0;
        while (filled < into.length) {
          const { bytesRead } = await file
            .read(into, filled, into.length - filled, offset + filled)
            .catch((error: unknown) => {
              throw inputError(error, name);
            });
          if (bytesRead === 0) throw inputChanged(name, offset + into.length, offset + filled);
          filled += bytesRead;
        }
      },
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw inputError(error, name);
  }
}
