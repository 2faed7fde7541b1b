import { createMatchWork, type MatchWork, type PathMatcher, pathMatcher } from './patterns.js';

/** Which files a repository leaves out, by its `.gitignore`. The last line that says something of a file decides. */
export interface IgnoreRule {
  readonly matches: PathMatcher;
  /** A folder is meant, with all that lies in it. */
  readonly isFolder: boolean;
  /** What an earlier line has left out is wanted after all. */
  readonly isWanted: boolean;
}

const MAX_RULES = 1000;

export function parseIgnored(
  text: string,
  work: MatchWork = createMatchWork(),
): readonly IgnoreRule[] {
  const rules: IgnoreRule[] = [];
  for (const raw of text.split('\n')) {
    if (rules.length === MAX_RULES) break;
    const line = withoutSpaces(raw.replace(/\r$/, ''));
    if (line === '' || line.startsWith('#')) continue;
    const isWanted = line.startsWith('!');
    const named = isWanted ? line.slice(1) : line;
    const isFolder = named.endsWith('/');
    const pattern = isFolder ? named.slice(0, -1) : named;
    if (pattern !== '') rules.push({ matches: pathMatcher(pattern, work), isFolder, isWanted });
  }
  return rules;
}

/** Spaces at the end count with a backslash before them only. Not by a regular expression, which tries each space. */
function withoutSpaces(line: string): string {
  let end = line.length;
  while (end > 0 && (line[end - 1] === ' ' || line[end - 1] === '\t')) end--;
  const isKept = line[end - 1] === '\\' && end < line.length;
  return line.slice(0, isKept ? end + 1 : end);
}

/**
 * Whether the rules leave a file out. What lies in a folder that is left out cannot be wanted again.
 *
 * @param folders what is known of folders, by their paths, from files before
 */
export function isIgnored(
  rules: readonly IgnoreRule[],
  path: readonly string[],
  folders: Map<string, boolean> = new Map(),
): boolean {
  for (let depth = 1; depth <= path.length; depth++) {
    const part = path.slice(0, depth);
    const isFolder = depth < path.length;
    const key = part.join('/');
    const known = isFolder ? folders.get(key) : undefined;
    const isOut = known ?? isLeftOut(rules, part, isFolder);
    if (isFolder) folders.set(key, isOut);
    if (isOut) return true;
  }
  return false;
}

function isLeftOut(
  rules: readonly IgnoreRule[],
  part: readonly string[],
  isFolder: boolean,
): boolean {
  const said = rules.findLast((rule) => (isFolder || !rule.isFolder) && rule.matches(part));
  return said !== undefined && !said.isWanted;
}
