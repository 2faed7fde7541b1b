import { open } from 'node:fs/promises';
import type { Source } from '../client/ports.js';
import { throwIfAborted } from '../flow/index.js';
import { inputError } from './errno.js';
import { fsPath } from './fs-path.js';
import { checkUnchanged, inputChanged } from './input-size.js';

/**
 * A regular file whose name is not UTF-8, as a source. `pathSource` reads all others.
 *
 * @param path as text (src/folder/path-text.ts)
 * @throws OrbweaverError `INPUT_*` from its methods
 */
export function rawPathSource(path: string, sizeBytes: number): Source {
  return {
    name: path,
    sizeBytes,
    reopenable: true,
    async open(signal) {
      throwIfAborted(signal);
      try {
        const file = await open(fsPath(path), 'r');
        const before = await file.stat({ bigint: true });
        let position = 0;
        return {
          async read(into) {
            throwIfAborted(signal);
            const wanted = Math.min(into.length, sizeBytes - position);
            try {
              if (wanted === 0) return 0;
              const { bytesRead } = await file.read(into, 0, wanted, position);
              position += bytesRead;
              if (bytesRead === 0) throw inputChanged(path, sizeBytes, position);
              if (position === sizeBytes) {
                const input = { name: path, sizeBytes, mayGrow: false };
                checkUnchanged(input, before, await file.stat({ bigint: true }));
              }
              return bytesRead;
            } catch (error) {
              throw inputError(error, path);
            }
          },
          close: () => file.close(),
        };
      } catch (error) {
        throw inputError(error, path);
      }
    },
  };
}
