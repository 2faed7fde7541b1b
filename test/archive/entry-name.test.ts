import { describe, expect, it } from 'vitest';
import { safeEntryName } from '../../src/archive/index.js';
import { nameKey } from '../../src/folder/index.js';

const DEVICES = ['con', 'PRN', 'aux', 'NUL', 'CONIN$', 'conout$', 'CLOCK$', 'COM¹', 'lpt³'];
for (let i = 0; i <= 9; i++) DEVICES.push(`COM${i}`, `lpt${i}`);

const UNSAFE = [
  '',
  '/',
  '//',
  '.',
  '..',
  '/etc/passwd',
  '//server/share/a',
  '///a',
  '../a',
  'a/../b',
  'a/..',
  'a/../../b',
  './a',
  'a/./b',
  'a//b',
  'a/b//',
  '\\a',
  'a\\b',
  '..\\a',
  'a\\..\\b',
  '\\\\server\\share',
  '\\\\?\\C:\\a',
  '\\\\.\\PhysicalDrive0',
  'C:',
  'C:a',
  'c:/a',
  'C:\\a',
  'z:../a',
  'a:b',
  'a/b:stream',
  'file.txt::$DATA',
  'a\0b',
  'a\nb',
  'a\r',
  '\ta',
  'a\u001b[31m',
  'a\u007f',
  'a\u0085b',
  'a.',
  'a ',
  'a/b./c',
  'a/b /c',
  '...',
  '.. ',
  '.. /a',
  '..../a',
  ' ',
  'a/ /b',
  '\ud800',
  'a\udc00b',
  'x'.repeat(256),
  `a/${'é'.repeat(128)}`,
  'a/'.repeat(2100),
  ...DEVICES.flatMap((name) => [
    name,
    `${name}.txt`,
    `a/${name}`,
    `${name}/a`,
    `a/${name}.tar.gz`,
    `${name} .txt`,
  ]),
];

describe('safeEntryName', () => {
  it('refuses every name of the corpus under the rules of every platform', () => {
    expect(UNSAFE.length).toBeGreaterThan(200);
    for (const name of UNSAFE) {
      expect(() => safeEntryName(name), JSON.stringify(name)).toThrowError(
        expect.objectContaining({ code: 'UNSAFE_PATH' }),
      );
    }
  });

  it('takes ordinary names as they are', () => {
    for (const name of [
      'a',
      'a.txt',
      'folder/',
      'folder/a b.tar.gz',
      '.hidden',
      '..a',
      'a..b',
      'console.log',
      'com10.txt',
      'nullable',
      'auxiliary/x',
      'Grüße 日本 🙂.txt',
      'x'.repeat(255),
      '-rf',
      '~',
      '$HOME',
    ]) {
      expect(safeEntryName(name)).toBe(name);
    }
  });

  it('gives names that differ only in case or Unicode form the same key', () => {
    expect(nameKey('ÄPFEL.TXT')).toBe(nameKey('a\u0308pfel.txt'));
    expect(nameKey('straße')).toBe(nameKey('STRASSE'));
    expect(nameKey('a')).not.toBe(nameKey('b'));
  });
});
