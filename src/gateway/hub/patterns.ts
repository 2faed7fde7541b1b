/**
 * Patterns of git, as `.gitattributes` and `.gitignore` have them. They come from whoever may commit, so they
 * are matched in steps whose number is bounded by the lengths of pattern and path, and not by a regular
 * expression made of them.
 */

/** Tells of a path, by its parts, whether it is meant. */
export type PathMatcher = (path: readonly string[]) => boolean;

/** Without a slash a pattern means names in any folder, with one paths from where it is said. */
export function pathMatcher(pattern: string): PathMatcher {
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
