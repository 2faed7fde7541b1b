import { type PathMatcher, pathMatcher } from './patterns.js';

/** Which files a repository leaves out, by its `.gitignore`. The last line that says something of a file decides. */
export interface IgnoreRule {
  readonly matches: PathMatcher;
  /** A folder is meant, with all that lies in it. */
  readonly isFolder: boolean;
  /** What an earlier line has left out is wanted after all. */
  readonly isWanted: boolean;
}

const MAX_RULES = 1000;

export function parseIgnored(text: string): readonly IgnoreRule[] {
  const rules: IgnoreRule[] = [];
  for (const raw of text.split('\n')) {
    if (rules.length === MAX_RULES) break;
    // Spaces at the end count with a backslash before them only.
    const line = raw.replace(/\r$/, '').replace(/(?<!\\)[ \t]+$/, '');
    if (line === '' || line.startsWith('#')) continue;
    const isWanted = line.startsWith('!');
    const named = isWanted ? line.slice(1) : line;
    const isFolder = named.endsWith('/');
    const pattern = isFolder ? named.slice(0, -1) : named;
    if (pattern !== '') rules.push({ matches: pathMatcher(pattern), isFolder, isWanted });
  }
  return rules;
}

/** Whether the rules leave a file out. What lies in a folder that is left out cannot be wanted again. */
export function isIgnored(rules: readonly IgnoreRule[], path: readonly string[]): boolean {
  for (let depth = 1; depth <= path.length; depth++) {
    const part = path.slice(0, depth);
    const isFolder = depth < path.length;
    const said = rules.findLast((rule) => (isFolder || !rule.isFolder) && rule.matches(part));
    if (said !== undefined && !said.isWanted) return true;
  }
  return false;
}
