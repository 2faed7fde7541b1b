import { targetError } from '../errors.js';

/** Characters of the digest that make a name unique: 48 bits. */
const PREFIX_CHARS = 12;

/** Without spaces, with an extension; nothing that would make it another path. */
const NAME = /^[^\s/\\?#%]+\.[^\s/\\?#%.]+$/;

/** How a name is changed. */
export interface NameRules {
  /** Replaces what is not allowed. */
  readonly safe: boolean;
  /** Puts its beginning before the extension; null: nothing is put there. */
  readonly sha256: string | null;
}

/**
 * The name under which a file is stored.
 * @throws OrbweaverError `REJECTED` (class permanent)
 */
export function storedName(original: string, { safe, sha256 }: NameRules): string {
  const name = safe ? safeName(original) : original;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is looked for
  if (!NAME.test(name) || /[\u0000-\u001f\u007f]/.test(name)) {
    const shown = name.replace(/[^\x20-\x7e]/g, '?');
    throw targetError({
      kind: 'startrail',
      class: 'permanent',
      message: `the name "${shown}" expected no spaces and an extension; upload it under another one, or with "safeName"`,
    });
  }
  if (sha256 === null) return name;
  const dot = name.lastIndexOf('.');
  return `${name.slice(0, dot)}-${sha256.slice(0, PREFIX_CHARS)}${name.slice(dot)}`;
}

function safeName(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: those are what is replaced
  const allowed = name.replace(/[\s/\\?#%\u0000-\u001f\u007f]/g, '_').replace(/^\.+|\.+$/g, '_');
  return NAME.test(allowed) ? allowed : `${allowed}.bin`;
}
