import { describe, expect, it } from 'vitest';
import { filterByRules, parseAttributes } from '../../../src/gateway/hub/attributes.js';

const says = (rules: string, path: string): string | null =>
  filterByRules(parseAttributes(rules), path.split('/'));

describe('.gitattributes', () => {
  // Each was held against `git check-attr filter`.
  it.each([
    ['*.bin filter=lfs diff=lfs merge=lfs -text', 'a.bin', 'lfs'],
    ['*.bin filter=lfs', 'd/e/a.bin', 'lfs'],
    ['*.bin filter=lfs', 'a.bin.txt', null],
    ['*.bin filter=lfs\n*.bin -filter', 'a.bin', 'regular'],
    ['*.bin filter=lfs\n*.bin -text', 'a.bin', 'lfs'],
    ['*.bin filter=lfs\n*.bin !filter', 'a.bin', 'unset'],
    ['*.bin filter=other', 'a.bin', 'regular'],
    ['# *.bin filter=lfs', 'a.bin', null],
    ['/top.bin filter=lfs', 'top.bin', 'lfs'],
    ['/top.bin filter=lfs', 'd/top.bin', null],
    ['d/*.bin filter=lfs', 'd/a.bin', 'lfs'],
    ['d/*.bin filter=lfs', 'd/e/a.bin', null],
    ['d/**/*.bin filter=lfs', 'd/a.bin', 'lfs'],
    ['d/**/*.bin filter=lfs', 'd/e/f/a.bin', 'lfs'],
    ['saved_model/**/* filter=lfs', 'saved_model/x/y', 'lfs'],
    ['saved_model/**/* filter=lfs', 'other/saved_model/x', null],
    ['**/d/* filter=lfs', 'a/b/d/x', 'lfs'],
    ['d/** filter=lfs', 'd/x/y', 'lfs'],
    ['d/** filter=lfs', 'd', null],
    ['d/ filter=lfs', 'd/x', null],
    ['*tfevents* filter=lfs', 'runs/events.out.tfevents.1', 'lfs'],
    ['a?c.[0-9x] filter=lfs', 'abc.7', 'lfs'],
    ['a?c.[0-9x] filter=lfs', 'abc.y', null],
    ['a.[!b] filter=lfs', 'a.c', 'lfs'],
    ['"with space.bin" filter=lfs', 'with space.bin', 'lfs'],
    ['\\*.bin filter=lfs', '*.bin', 'lfs'],
    ['\\*.bin filter=lfs', 'a.bin', null],
    ['{a,b}.bin filter=lfs', 'a.bin', null],
    ['[attr]big filter=lfs', 'big', null],
  ])('%j says of %s: %s', (rules, path, expected) => {
    expect(says(rules, path)).toBe(expected);
  });

  it('is matched in few steps, whatever the pattern', () => {
    const pattern = `${'*a'.repeat(500)}b`;
    expect(says(`${pattern} filter=lfs`, 'a'.repeat(250))).toBe(null);
    expect(says(`${'**/a/'.repeat(200)}b filter=lfs`, `${'a/'.repeat(400)}c`)).toBe(null);
  });

  it('is read at once when a quoted pattern is followed by spaces and an end of line that is none', () => {
    expect(says(`"a"${' '.repeat(100_000)}x\u2028y filter=lfs`, 'a')).toBe('lfs');
  });
});
