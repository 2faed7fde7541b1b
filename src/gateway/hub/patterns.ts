import { rejected } from '../failures.js';

/**
 * Patterns of git, as `.gitattributes` and `.gitignore` have them. They come from whoever may commit, so they
 * are matched in steps that are counted, and not by a regular expression made of them.
 */

/** What matching may still take, of all patterns and paths of one request together. */
export interface MatchWork {
  steps: number;
}

/** About half a second. A thousand files by a hundred usual patterns take a tenth of it. */
const MAX_STEPS = 30_000_000;
/** A longer pattern is none: no path is as long. */
const MAX_PATTERN = 4096;

export function createMatchWork(steps: number = MAX_STEPS): MatchWork {
  return { steps };
}

/** @throws OrbweaverError 400 when it was too much */
function spend(work: MatchWork, steps: number): void {
  work.steps -= steps;
  if (work.steps < 0) {
    throw rejected('the patterns of .gitattributes or .gitignore take too long: use simpler ones');
  }
}

/** Tells of a path, by its parts, whether it is meant. */
export type PathMatcher = (path: readonly string[]) => boolean;

/**
 * Without a slash a pattern means names in any folder, with one paths from where it is said. What is too long
 * for a pattern matches nothing.
 *
 * @throws OrbweaverError by what it returns: 400 when `work` is used up
 */
export function pathMatcher(pattern: string, work: MatchWork): PathMatcher {
  if (pattern.length > MAX_PATTERN) return () => false;
  if (!pattern.includes('/')) {
    const matches = nameMatcher(pattern, work);
    return (path) => matches(path.at(-1) ?? '');
  }
  const parts = pattern.replace(/^\//, '').split('/');
  const steps = parts.map((part) => (part === '**' ? null : nameMatcher(part, work)));
  // What is below a folder is not the folder itself.
  if (steps.at(-1) === null) steps.push(() => true);
  return (path) => matchesAll(steps, path, (step, name) => step(name), work);
}

/** A test of one character; null: any number of them. */
type Token = ((char: string) => boolean) | null;

function nameMatcher(pattern: string, work: MatchWork): (name: string) => boolean {
  const tokens: Token[] = [];
  const chars = [...pattern];
  const lastEnd = chars.lastIndexOf(']');
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] as string;
    if (char === '*') tokens.push(null);
    else if (char === '?') tokens.push(() => true);
    else if (char === '[' && lastEnd >= at + 2) {
      const end = chars.indexOf(']', at + 2);
      tokens.push(charClass(chars.slice(at + 1, end), work));
      at = end;
    } else {
      const literal = char === '\\' && at + 1 < chars.length ? (chars[++at] as string) : char;
      tokens.push((other) => other === literal);
    }
  }
  return (name) => matchesAll(tokens, [...name], (token, char) => token(char), work);
}

function charClass(chars: readonly string[], work: MatchWork): (char: string) => boolean {
  const isNot = chars[0] === '!' || chars[0] === '^';
  const body = isNot ? chars.slice(1) : chars;
  return (char) => {
    spend(work, body.length);
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
  work: MatchWork,
): boolean {
  let step = 0;
  let item = 0;
  // The last step of any number, and where it is taken to end: one further each time that it was wrong.
  let open = -1;
  let openItem = 0;
  spend(work, 1 + items.length);
  while (item < items.length) {
    spend(work, 1);
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
