import { targetError } from '../errors.js';

/**
 * Names that a server keeps as they are. The recorded name of a file in volumes is cut at the first
 * `.7z`, so that such a file can never be downloaded again; separators are cut off.
 */

// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
const CONTROL = /[\u0000-\u001f\u007f]/;
// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is replaced
const UNSAFE = /[\u0000-\u001f\u007f\\/]/g;

/** What is wrong with a name, or null. */
export function nameProblem(name: string): string | null {
  if (name === '' || name === '.' || name === '..') return 'it is empty or a folder';
  if (/[\\/]/.test(name)) return 'it holds a path separator';
  if (CONTROL.test(name)) return 'it holds control characters';
  if (name.includes('.7z')) return 'it holds ".7z", at which the server cuts it';
  return null;
}

/** A similar name without any of that. */
export function safeNameOf(name: string): string {
  const safe = name.replace(UNSAFE, '_').replaceAll('.7z', '_7z');
  return nameProblem(safe) === null ? safe : `file_${safe.replaceAll('.', '_')}`;
}

/** @throws OrbweaverError `REJECTED` (class permanent) */
export function uploadName(name: string, safeName: boolean): string {
  const problem = nameProblem(name);
  if (problem === null) return name;
  if (safeName) return safeNameOf(name);
  throw targetError({
    kind: 'cascade',
    class: 'permanent',
    message: `the name "${name.replace(UNSAFE, '?')}" expected to be one that Cascade keeps: ${problem}; upload it under another one, or with "safeName"`,
  });
}
