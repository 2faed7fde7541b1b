import { createMatchWork, type MatchWork, type PathMatcher, pathMatcher } from './patterns.js';

/**
 * Which files a repository wants as files of Git LFS, by its `.gitattributes`: lines of a pattern and what
 * holds for the files that it matches. The last line that says something of a file decides.
 */
export interface AttributeRule {
  readonly matches: PathMatcher;
  readonly says: FilterRule;
}

/** `lfs`: one of Git LFS; `regular`: none; `unset`: as if no line before had said anything. */
export type FilterRule = 'lfs' | 'regular' | 'unset';

/** A longer file decides nothing. */
export const MAX_ATTRIBUTES_BYTES: number = 256 * 1024;
const MAX_RULES = 1000;

export function parseAttributes(
  text: string,
  work: MatchWork = createMatchWork(),
): readonly AttributeRule[] {
  const rules: AttributeRule[] = [];
  for (const line of text.split('\n')) {
    if (rules.length === MAX_RULES) break;
    const { pattern, rest } = splitLine(line.trim());
    // Comments, macros, and patterns that git refuses here or that mean folders.
    if (pattern === '' || /^[#![]/.test(pattern) || pattern.endsWith('/')) continue;
    const says = filterOf(rest.split(/\s+/));
    if (says !== null) rules.push({ matches: pathMatcher(pattern, work), says });
  }
  return rules;
}

/** What the rules say of a file; null: nothing. */
export function filterByRules(
  rules: readonly AttributeRule[],
  path: readonly string[],
): FilterRule | null {
  return rules.findLast((rule) => rule.matches(path))?.says ?? null;
}

function splitLine(line: string): { readonly pattern: string; readonly rest: string } {
  const quoted = /^"((?:[^"\\]|\\.)*)"\s*(.*)$/s.exec(line);
  if (quoted !== null) {
    return {
      pattern: (quoted[1] as string).replace(/\\(["\\])/g, '$1'),
      rest: quoted[2] as string,
    };
  }
  const [pattern = '', ...rest] = line.split(/\s+/);
  return { pattern, rest: rest.join(' ') };
}

function filterOf(attributes: readonly string[]): FilterRule | null {
  const said = attributes.findLast((each) => /^[-!]?filter(?:=|$)/.test(each));
  if (said === undefined) return null;
  if (said === '!filter') return 'unset';
  return said === 'filter=lfs' ? 'lfs' : 'regular';
}
