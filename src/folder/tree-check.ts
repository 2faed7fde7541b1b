import { OrbweaverError } from '../errors.js';
import type { FolderEntry } from './entry.js';
import { checkLinkTarget, checkPath, type NameRules, nameKey, unsafePath } from './path-rules.js';
import { compareNames } from './path-text.js';

/** A folder whose entries are being read. */
interface OpenFolder {
  /** With its `/`; empty for the top. */
  readonly prefix: string;
  /** The entry that came last. */
  lastName: string | null;
  /** Keys of all names so far; null where case counts. */
  readonly keys: Set<string> | null;
}

/**
 * Holds the entries of a manifest against the rules, one after another, with memory for the folders that
 * are open and their names only. That is enough because of the order: a folder is followed at once by all
 * that it holds, and the names of one folder ascend by their bytes. So a name that comes twice, a name below
 * a file or link, and a folder that is missing all show where they stand.
 */
export class TreeCheck {
  readonly #rules: NameRules;
  readonly #open: OpenFolder[];

  constructor(rules: NameRules) {
    this.#rules = rules;
    this.#open = [this.#folder('')];
  }

  /**
   * @throws OrbweaverError `UNSAFE_PATH` for a name or link target that the rules refuse, or for siblings
   * that would be one file; `FORMAT_INVALID` when the order is another
   */
  add(entry: FolderEntry): void {
    const { path } = entry;
    checkPath(path, this.#rules);
    if (entry.type === 'symlink') checkLinkTarget(path, entry.target, this.#rules);
    const end = path.lastIndexOf('/') + 1;
    const folder = this.#enter(path.slice(0, end), path);
    const name = path.slice(end);
    if (folder.lastName !== null && compareNames(folder.lastName, name) >= 0) {
      const message = `"path" expected a name behind ${JSON.stringify(folder.prefix + folder.lastName)}, got ${JSON.stringify(path)}`;
      throw new OrbweaverError('FORMAT_INVALID', message, { path });
    }
    folder.lastName = name;
    if (folder.keys !== null) {
      const key = nameKey(name);
      if (folder.keys.has(key)) {
        throw unsafePath(path, 'a name of its own (case and Unicode form aside)', true);
      }
      folder.keys.add(key);
    }
    if (entry.type === 'folder') this.#open.push(this.#folder(`${path}/`));
  }

  /** The open folder that the entry lies in; those that it does not lie in are over. */
  #enter(prefix: string, path: string): OpenFolder {
    for (let i = this.#open.length - 1; i >= 0; i--) {
      const folder = this.#open[i] as OpenFolder;
      if (folder.prefix !== prefix) continue;
      this.#open.length = i + 1;
      return folder;
    }
    const message = `"path" expected to follow the folder that it lies in, got ${JSON.stringify(path)}`;
    throw new OrbweaverError('FORMAT_INVALID', message, { path });
  }

  #folder(prefix: string): OpenFolder {
    return { prefix, lastName: null, keys: this.#rules === 'portable' ? new Set() : null };
  }
}
