import { OrbweaverError } from '../errors.js';
import { encodePathText } from './path-text.js';

/**
 * Which names may be written below a folder that somebody else has named. A name is a relative path with
 * `/` between its parts. Two sets of rules:
 *
 * - `portable`: safe on every platform, whatever this one is: what is made here is unpacked elsewhere.
 *   Besides what `native` refuses: backslashes, colons (drives and streams of Windows), control characters,
 *   names that are not UTF-8, device names of Windows, parts that end in a dot or space, and siblings that
 *   would be one file where case or Unicode form does not count.
 * - `native`: what a POSIX file system takes and what stays inside the folder: no absolute path, no empty,
 *   `.` or `..` part, no NUL, nothing that is too long.
 */
export type NameRules = 'portable' | 'native';

/** Names that Windows gives to devices, with any extension. */
const DEVICE = /^(con|prn|aux|nul|conin\$|conout\$|clock\$|(com|lpt)[0-9¹²³])$/i;

/** Longest path: UTF-16 units in `portable`, bytes in `native`; paths end at 4096 bytes on Linux. */
const MAX_PATH_CHARS = 4096;

/** Longest part of a path in UTF-8 bytes, on every common file system. */
const MAX_PART_BYTES = 255;

const ENCODER = new TextEncoder();

/** What a relative path would have to be to be safe on every platform; null: it is. */
export function portablePathReason(path: string): string | null {
  if (path === '') return 'a name';
  if (path.length > MAX_PATH_CHARS) return `at most ${MAX_PATH_CHARS} characters`;
  if (path.includes('\\')) return 'no backslash';
  if (path.startsWith('/')) return 'a relative path';
  if (path.includes(':')) return 'no colon';
  for (const char of path) {
    const code = char.codePointAt(0) as number;
    if (code < 0x20 || (code >= 0x7f && code < 0xa0)) return 'no control characters';
    if (code >= 0xd800 && code <= 0xdfff) return 'well-formed Unicode';
  }
  for (const part of path.split('/')) {
    if (part === '' || part === '.' || part === '..') return 'no empty, "." or ".." part';
    if (part.endsWith('.') || part.endsWith(' ')) return 'no part that ends in a dot or space';
    if (DEVICE.test((part.split('.')[0] as string).trimEnd())) return 'no device name of Windows';
    // A unit of UTF-16 is at most three bytes.
    const maybeLong = part.length * 3 > MAX_PART_BYTES;
    if (maybeLong && ENCODER.encode(part).length > MAX_PART_BYTES) {
      return `parts of at most ${MAX_PART_BYTES} bytes`;
    }
  }
  return null;
}

/** What a relative path would have to be for POSIX systems; null: it is. */
export function nativePathReason(path: string): string | null {
  if (path === '') return 'a name';
  if (path.startsWith('/')) return 'a relative path';
  if (path.includes('\0')) return 'no NUL';
  const bytes = encodePathText(path);
  if (bytes === null) return 'text that stands for the bytes of a name';
  if (bytes.length > MAX_PATH_CHARS) return `at most ${MAX_PATH_CHARS} bytes`;
  for (const part of path.split('/')) {
    if (part === '' || part === '.' || part === '..') return 'no empty, "." or ".." part';
    if ((encodePathText(part)?.length ?? 0) > MAX_PART_BYTES) {
      return `parts of at most ${MAX_PART_BYTES} bytes`;
    }
  }
  return null;
}

/** @throws OrbweaverError `UNSAFE_PATH`; its `fields.native` says whether `native` rules would take it */
export function checkPath(path: string, rules: NameRules): void {
  const reason = rules === 'portable' ? portablePathReason(path) : nativePathReason(path);
  if (reason === null) return;
  throw unsafePath(path, `${reason}`, rules === 'portable' && nativePathReason(path) === null);
}

/**
 * What the target of a symbolic link would have to be to stay inside the folder, seen from `path`; null: it
 * does. `..` may stand at its start only: behind the name of another link it would lead from where that one
 * leads to, and nobody could tell from the text where that is.
 */
export function linkTargetReason(path: string, target: string, rules: NameRules): string | null {
  if (target === '') return 'a target';
  if (target.startsWith('/')) return 'a relative target';
  const parts = target.replace(/\/+$/, '').split('/');
  let up = 0;
  while (parts[up] === '..') up++;
  const depth = path.split('/').length - 1;
  if (up > depth) return 'a target inside the folder';
  const rest = parts.slice(up).filter((part) => part !== '' && part !== '.');
  if (rest.includes('..')) return 'a target with ".." at its start only';
  if (rest.length === 0) return null;
  const name = rest.join('/');
  return rules === 'portable' ? portablePathReason(name) : nativePathReason(name);
}

/** @throws OrbweaverError `UNSAFE_PATH` */
export function checkLinkTarget(path: string, target: string, rules: NameRules): void {
  const reason = linkTargetReason(path, target, rules);
  if (reason === null) return;
  const isNative = rules === 'portable' && linkTargetReason(path, target, 'native') === null;
  throw unsafePath(path, `${reason} of the link, got ${shown(target)} as the target of`, isNative);
}

/** Names with the same key would be one file where case or Unicode form does not count. */
export function nameKey(name: string): string {
  return name.normalize('NFC').toUpperCase().toLowerCase().normalize('NFC');
}

/**
 * Notes the name of a path among its siblings, by their keys; null: where case counts, none is looked at.
 * @throws OrbweaverError `UNSAFE_PATH` when a sibling has the same name, case and Unicode form aside
 */
export function checkOwnName(path: string, keys: Set<string> | null): void {
  if (keys === null) return;
  const key = nameKey(path.slice(path.lastIndexOf('/') + 1));
  if (keys.has(key)) {
    const message = `"path" expected a name of its own (case and Unicode form aside), got ${JSON.stringify(path)}`;
    throw new OrbweaverError('UNSAFE_PATH', message, { path, native: true });
  }
  keys.add(key);
}

/** @param expected goes on in "expected …, got <path>" */
export function unsafePath(path: string, expected: string, isNative: boolean): OrbweaverError {
  const text = expected.includes(', got ')
    ? `${expected} ${shown(path)}`
    : `${expected}, got ${shown(path)}`;
  return new OrbweaverError('UNSAFE_PATH', `"path" expected ${text}`, {
    path: path.slice(0, SHOWN_CHARS),
    native: isNative,
  });
}

const SHOWN_CHARS = 200;

function shown(text: string): string {
  return JSON.stringify(text.length > SHOWN_CHARS ? `${text.slice(0, SHOWN_CHARS)}…` : text);
}
