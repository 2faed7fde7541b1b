import { describe, expect, it } from 'vitest';
import { isIgnored, parseIgnored } from '../../../src/gateway/hub/ignored.js';

const isLeftOut = (rules: string, path: string): boolean =>
  isIgnored(parseIgnored(rules), path.split('/'));

describe('.gitignore', () => {
  // Each was held against `git check-ignore --no-index`.
  it.each([
    ['*.log', 'a.log', true],
    ['*.log', 'd/e/a.log', true],
    ['*.log', 'a.log.txt', false],
    ['*.log\n!keep.log', 'd/keep.log', false],
    ['!keep.log\n*.log', 'keep.log', true],
    ['build/', 'build/x/y', true],
    ['build/', 'd/build/x', true],
    ['build/', 'build', false],
    ['build', 'build', true],
    ['build', 'build/x', true],
    ['build/\n!build/keep', 'build/keep', true],
    ['build/*\n!build/keep', 'build/keep', false],
    ['build/*\n!build/keep', 'build/other', true],
    ['/top', 'top', true],
    ['/top', 'd/top', false],
    ['a/b', 'a/b/c', true],
    ['a/b', 'x/a/b', false],
    ['**/b', 'x/a/b', true],
    ['a/**/b', 'a/x/y/b', true],
    ['a/**', 'a/x', true],
    ['a/**/', 'a/x', false],
    ['a/**/', 'a/x/y', true],
    ['# a', '# a', false],
    ['\\#a', '#a', true],
    ['\\!a', '!a', true],
    ['a  ', 'a', true],
    ['a\\ ', 'a ', true],
    ['a\r', 'a', true],
    ['/', 'a', false],
    ['!', 'a', false],
    ['*', '.gitignore', true],
    ['*\n!.gitignore', '.gitignore', false],
    ['d?[0-9]', 'dx7', true],
  ])('%j leaves out %s: %s', (rules, path, expected) => {
    expect(isLeftOut(rules, path)).toBe(expected);
  });
});
