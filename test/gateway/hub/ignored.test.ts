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

  it('says the same of files of one folder, however many were asked about before', () => {
    const rules = parseIgnored('out/\n!out/keep\n*.log\n!d/keep.log');
    const folders = new Map<string, boolean>();
    const said = ['out/keep', 'out/x', 'd/a.log', 'd/keep.log', 'd/out', 'd/out/x'].map((path) =>
      isIgnored(rules, path.split('/'), folders),
    );
    expect(said).toEqual([true, true, true, false, false, true]);
  });

  // Each took half a minute and more, in which the server did nothing else.
  it.each([
    ['spaces inside', `${' '.repeat(100_000)}x`],
    ['brackets that never end', '['.repeat(200_000)],
    ['one pattern of many stars', '*a'.repeat(120_000)],
  ])('is read at once: %s', (_, text) => {
    expect(isIgnored(parseIgnored(text), ['a'.repeat(255)])).toBe(false);
  });

  it('is refused when matching takes too much', () => {
    const rules = parseIgnored(`${'**/*a*b/'.repeat(30)}c\n`.repeat(1000));
    const path = Array.from({ length: 60 }, () => 'a'.repeat(60));
    expect(() => isIgnored(rules, path)).toThrow('take too long');
  });
});
