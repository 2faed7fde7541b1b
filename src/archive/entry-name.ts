import { OrbweaverError } from '../errors.js';

/**
 * Which entry names are safe on every platform, whatever it runs on now: an archive that is made
 * here is unpacked elsewhere. Names are relative paths with `/` between their parts.
 */

/** Names that Windows gives to devices, with any extension. */
const DEVICE = /^(con|prn|aux|nul|conin\$|conout\$|clock\$|(com|lpt)[0-9¹²³])$/i;

/** Longest name in UTF-16 units; paths end at 4096 bytes on Linux. */
const MAX_NAME_CHARS = 4096;

/** Longest part of a name in UTF-8 bytes, on every common file system. */
const MAX_PART_BYTES = 255;

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
  const reason = reasonAgainst(name);
  if (reason === null) return name;
  const shown = name.length > 200 ? `${name.slice(0, 200)}…` : name;
  throw new OrbweaverError(
    'UNSAFE_PATH',
    `"entry name" expected ${reason}, got ${JSON.stringify(shown)}`,
    { name: shown },
  );
}

/** Names with the same key would be one file where case or Unicode form does not count. */
export function entryNameKey(name: string): string {
  return name.normalize('NFC').toUpperCase().toLowerCase().normalize('NFC');
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
    const key = entryNameKey(isFolder ? name.slice(0, -1) : name);
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

function reasonAgainst(name: string): string | null {
  if (name === '') return 'a name';
  if (name.length > MAX_NAME_CHARS) return `at most ${MAX_NAME_CHARS} characters`;
  if (name.includes('\\')) return 'no backslash';
  if (name.startsWith('/')) return 'a relative path';
  if (name.includes(':')) return 'no colon';
  for (const char of name) {
    const code = char.codePointAt(0) as number;
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return 'no control characters';
    if (code >= 0xd800 && code <= 0xdfff) return 'well-formed Unicode';
  }
  const parts = (name.endsWith('/') ? name.slice(0, -1) : name).split('/');
  for (const part of parts) {
    if (part === '' || part === '.' || part === '..') return 'no empty, "." or ".." part';
    if (part.endsWith('.') || part.endsWith(' ')) return 'no part that ends in a dot or space';
    if (DEVICE.test((part.split('.')[0] as string).trimEnd())) return 'no device name of Windows';
    if (new TextEncoder().encode(part).length > MAX_PART_BYTES) {
      return `parts of at most ${MAX_PART_BYTES} bytes`;
    }
  }
  return null;
}
