/**
 * Which files a repository wants as files of Git LFS, by its `.gitattributes`: lines of a pattern and what
 * holds for the files that it matches. The last line that says something of a file decides.
 *
 * Patterns are those of git. They come from whoever may commit, so they are matched in steps whose number
 * is bounded by the lengths of pattern and path, and not by a regular expression made of them.
 */
export interface AttributeRule {
  readonly matches: (path: readonly string[]) => boolean;
  readonly says: FilterRule;
}

/** `lfs`: one of Git LFS; `regular`: none; `unset`: as if no line before had said anything. */
export type FilterRule = 'lfs' | 'regular' | 'unset';

/** A longer file decides nothing. */
export const MAX_ATTRIBUTES_BYTES: number = 256 * 1024;
const MAX_RULES = 1000;

export function parseAttributes(text: string): readonly AttributeRule[] {
  const rules: AttributeRule[] = [];
  for (const line of text.split('\n')) {
    if (rules.length === MAX_RULES) break;
    const { pattern, rest } = splitLine(line.trim());
    // Comments, macros, and patterns that git refuses here or that mean folders.
    if (pattern === '' || /^[#![]/.test(pattern) || pattern.endsWith('/')) continue;
    const says = filterOf(rest.split(/\s+/));
    if (says !== null) rules.push({ matches: pathMatcher(pattern), says });
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
  const quoted = /^"((?:[^"\\]|\\.)*)"\s*(.*)$/.exec(line);
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

/** Without a slash, but for one at its end, a pattern means names in any folder. */
function pathMatcher(pattern: string): (path: readonly string[]) => boolean {
  if (!pattern.includes('/')) {
    const matches = nameMatcher(pattern);
    return (path) => matches(path.at(-1) ?? '');
  }
  const parts = pattern.replace(/^\//, '').split('/');
  const steps = parts.map((part) => (part === '**' ? null : nameMatcher(part)));
  // What is below a folder is not the folder itself.
  if (steps.at(-1) === null) steps.push(() => true);
  return (path) => matchesAll(steps, path, (step, name) => step(name));
}

/** A test of one character; null: any number of them. */
type Token = ((char: string) => boolean) | null;

function nameMatcher(pattern: string): (name: string) => boolean {
  const tokens: Token[] = [];
  const chars = [...pattern];
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] as string;
    if (char === '*') tokens.push(null);
    else if (char === '?') tokens.push(() => true);
    else if (char === '[' && chars.indexOf(']', at + 2) > 0) {
      const end = chars.indexOf(']', at + 2);
      tokens.push(charClass(chars.slice(at + 1, end)));
      at = end;
    } else {
      const literal = char === '\\' && at + 1 < chars.length ? (chars[++at] as string) : char;
      tokens.push((other) => other === literal);
    }
  }
  return (name) => matchesAll(tokens, [...name], (token, char) => token(char));
}

function charClass(chars: readonly string[]): (char: string) => boolean {
  const isNot = chars[0] === '!' || chars[0] === '^';
  const body = isNot ? chars.slice(1) : chars;
  return (char) => {
    let found = false;
    for (let at = 0; at < body.length; at++) {
      const from = body[at] as string;
      const to = body[at + 1] === '-' ? body[at + 2] : undefined;
      if (to === undefined) found ||= char === from;
      else {
        found ||= from <= char && char <= to;
        at += 2;
      }
    }
    return found !== isNot;
  };
}

/** Whether steps match items one by one, where null is any number of items. */
function matchesAll<Step, Item>(
  steps: readonly (Step | null)[],
  items: readonly Item[],
  matches: (step: Step, item: Item) => boolean,
): boolean {
  let step = 0;
  let item = 0;
  // The last step of any number, and where it is taken to end: one further each time that it was wrong.
  let open = -1;
  let openItem = 0;
  while (item < items.length) {
    const now = steps[step];
    if (now === null) {
      open = step++;
      openItem = item;
    } else if (now !== undefined && matches(now, items[item] as Item)) {
      step++;
      item++;
    } else if (open >= 0) {
      step = open + 1;
      item = ++openItem;
    } else return false;
  }
  while (steps[step] === null) step++;
  return step === steps.length;
}
