import { targetError } from '../errors.js';

/** Characters of the digest that make a name unique: 48 bits. */
const PREFIX_CHARS = 12;

/** Without spaces, with an extension; nothing that would make it another path. */
const NAME = /^[^\s/\\?#%]+\.[^\s/\\?#%.]+$/;

/**
 * The name under which a file is stored.
 * @param sha256 puts its beginning before the extension; null: the name as it is
 * @throws OrbweaverError `REJECTED` (class permanent)
 */
export function storedName(name: string, sha256: string | null): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
  if (!NAME.test(name) || /[\u0000-\u001f\u007f]/.test(name)) {
    const shown = name.replace(/[^\x20-\x7e]/g, '?');
    throw targetError({
      kind: 'startrail',
      class: 'permanent',
      message: `the name "${shown}" expected no spaces and an extension; upload it under another one`,
    });
  }
  if (sha256 === null) return name;
  const dot = name.lastIndexOf('.');
  return `${name.slice(0, dot)}-${sha256.slice(0, PREFIX_CHARS)}${name.slice(dot)}`;
}
