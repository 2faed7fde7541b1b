import picomatch from 'picomatch';

/** Says of a path, relative to the folder that is walked, whether it is meant. */
export type PathFilter = (path: string, isFolder: boolean) => boolean;

/**
 * Patterns as users know them from ignore files: one without a slash means a name in any folder, one with a
 * slash a path from the top, one that ends in a slash folders only. `*` stops at a slash, `**` does not.
 * Names that begin with a dot are matched like any other.
 *
 * @throws TypeError for an empty pattern
 * @example
 * const isExcluded = pathFilter(['*.tmp', 'node_modules/', 'build/**']);
 */
export function pathFilter(patterns: readonly string[]): PathFilter {
  const filters = patterns.map(oneFilter);
  return (path, isFolder) => filters.some((filter) => filter(path, isFolder));
}

function oneFilter(pattern: string): PathFilter {
  const folderOnly = pattern.endsWith('/');
  const text = folderOnly ? pattern.replace(/\/+$/, '') : pattern;
  if (text === '')
    throw new TypeError(`"exclude" expected a pattern, got ${JSON.stringify(pattern)}`);
  const anywhere = !text.includes('/');
  const matches = picomatch(text.replace(/^\.?\//, ''), { dot: true });
  return (path, isFolder) => {
    if (folderOnly && !isFolder) return false;
    return matches(anywhere ? path.slice(path.lastIndexOf('/') + 1) : path);
  };
}

/** A glob in two: the folder that holds all it can match, and what it matches below that. */
export interface Glob {
  /** As written; empty for the current folder. */
  readonly base: string;
  readonly matches: (path: string) => boolean;
  /** Folders below `base` that have to be looked into; `Infinity` with `**`. */
  readonly maxDepth: number;
}

/** Null for a text without wildcards. */
export function parseGlob(text: string, { hidden }: { readonly hidden: boolean }): Glob | null {
  const { isGlob, base, glob } = picomatch.scan(text);
  if (isGlob !== true || glob === '') return null;
  const depth = glob.includes('**') ? Number.POSITIVE_INFINITY : glob.split('/').length;
  return { base, matches: picomatch(glob, { dot: hidden }), maxDepth: depth };
}
