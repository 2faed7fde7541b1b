import { OrbweaverError } from '../errors.js';
import { nameKey, portablePathReason } from '../folder/index.js';

/**
 * Which entry names are safe on every platform, whatever it runs on now: an archive that is made
 * here is unpacked elsewhere. Names are relative paths with `/` between their parts.
 */

/**
 * The name itself when it is safe. A trailing `/` (a folder) is allowed and kept.
 *
 * @throws OrbweaverError `UNSAFE_PATH` for an empty, absolute, drive or UNC name, a backslash, a
 * colon (drives and streams of Windows), control characters, `.` and `..`, empty parts, device
 * names of Windows, parts that end in a dot or space, and names that are too long
 * @example
 * safeEntryName('weights/model.bin'); // the same
 * safeEntryName('../model.bin'); // throws
 */
export function safeEntryName(name: string): string {
  const isFolder = name.endsWith('/') && name !== '/';
  const reason = portablePathReason(isFolder ? name.slice(0, -1) : name);
  if (reason === null) return name;
  const shown = name.length > 200 ? `${name.slice(0, 200)}…` : name;
  throw new OrbweaverError(
    'UNSAFE_PATH',
    `"entry name" expected ${reason}, got ${JSON.stringify(shown)}`,
    { name: shown },
  );
}

/**
 * Collects names and refuses those that would meet on some platform: the same name in another
 * case, or a file where another entry needs a folder.
 */
export class EntryNames {
  readonly #files = new Set<string>();
  readonly #folders = new Set<string>();

  /** @throws OrbweaverError `UNSAFE_PATH` */
  add(name: string): void {
    safeEntryName(name);
    const isFolder = name.endsWith('/');
    const key = nameKey(isFolder ? name.slice(0, -1) : name);
    if (isFolder ? this.#files.has(key) : this.#files.has(key) || this.#folders.has(key)) {
      throw twice(name);
    }
    (isFolder ? this.#folders : this.#files).add(key);
    for (let at = key.lastIndexOf('/'); at > 0; at = key.lastIndexOf('/', at - 1)) {
      const folder = key.slice(0, at);
      if (this.#files.has(folder)) throw twice(name);
      if (this.#folders.has(folder)) break;
      this.#folders.add(folder);
    }
  }
}

function twice(name: string): OrbweaverError {
  return new OrbweaverError(
    'UNSAFE_PATH',
    `"entry name" expected a name of its own, got ${JSON.stringify(name)} twice (case and Unicode form aside)`,
    { name },
  );
}
