import {
  type AttributeRule,
  filterByRules,
  MAX_ATTRIBUTES_BYTES,
  parseAttributes,
} from './attributes.js';
import { INLINE_MAX_BYTES } from './commit-body.js';
import { ATTRIBUTES_NAME } from './default-attributes.js';
import type { Hub } from './hub.js';
import { isIgnored, parseIgnored } from './ignored.js';
import { createMatchWork, type MatchWork } from './patterns.js';
import { entryAt } from './tree-walk.js';

/** Text above this size goes as a file of Git LFS: through chunks, and deduplicated on the wire. */
const REGULAR_MAX_BYTES = 1024 * 1024;

export interface AskedFile {
  readonly path: readonly string[];
  readonly sizeBytes: number;
  /** Its first bytes. */
  readonly sample: Uint8Array;
}

/**
 * Says of files whether they go into a commit as they are, or as files of Git LFS: by the `.gitattributes`
 * of the tree, those of deeper folders over those above, and where they say nothing when a file is larger
 * than 1 MiB or has a zero byte near its start. A file without bytes is never one of Git LFS, and one that
 * is too large for a commit always is.
 *
 * @param topRules text of the `.gitattributes` that comes with the commit, in place of the one at the top
 */
export function createUploadModes(
  hub: Hub,
  tree: string,
  topRules: string | undefined,
): (file: AskedFile) => Promise<'lfs' | 'regular'> {
  const known = new Map<string, Promise<readonly AttributeRule[]>>();
  const work = createMatchWork();
  if (topRules !== undefined) {
    known.set('', Promise.resolve(parseAttributes(notTooLong(topRules), work)));
  }
  const rulesOf = (folder: readonly string[]): Promise<readonly AttributeRule[]> => {
    const key = folder.join('/');
    const found = known.get(key) ?? readRules(hub, tree, folder, work);
    known.set(key, found);
    return found;
  };
  return async ({ path, sizeBytes, sample }) => {
    if (sizeBytes === 0) return 'regular';
    if (sizeBytes > INLINE_MAX_BYTES) return 'lfs';
    for (let depth = path.length - 1; depth >= 0; depth--) {
      const said = filterByRules(await rulesOf(path.slice(0, depth)), path.slice(depth));
      if (said === 'unset') break;
      if (said !== null) return said;
    }
    return sizeBytes > REGULAR_MAX_BYTES || sample.includes(0) ? 'lfs' : 'regular';
  };
}

async function readRules(
  hub: Hub,
  tree: string,
  folder: readonly string[],
  work: MatchWork,
): Promise<readonly AttributeRule[]> {
  return parseAttributes(await readSmall(hub, tree, [...folder, ATTRIBUTES_NAME]), work);
}

/**
 * Tells which files the `.gitignore` at the top leaves out.
 *
 * @param topRules text of the one that comes with the commit, in place of that of the tree
 */
export async function createIgnoring(
  hub: Hub,
  tree: string,
  topRules: string | undefined,
): Promise<(path: readonly string[]) => boolean> {
  const text =
    topRules === undefined ? await readSmall(hub, tree, [IGNORE_NAME]) : notTooLong(topRules);
  const rules = parseIgnored(text);
  const folders = new Map<string, boolean>();
  return (path) => isIgnored(rules, path, folders);
}

const IGNORE_NAME = '.gitignore';

/** Rules that come with the commit count as those of the tree do. */
function notTooLong(text: string): string {
  return Buffer.byteLength(text) > MAX_ATTRIBUTES_BYTES ? '' : text;
}

/** Text of a file with rules; empty where there is none, or one that is too large. */
async function readSmall(hub: Hub, tree: string, path: readonly string[]): Promise<string> {
  const entry = await entryAt(hub.objects, tree, path);
  if (entry?.kind !== 'file' || entry.sizeBytes > MAX_ATTRIBUTES_BYTES) return '';
  const pieces: Uint8Array[] = [];
  for await (const piece of await hub.bytes(entry.file, { start: 0, end: entry.sizeBytes })) {
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}
