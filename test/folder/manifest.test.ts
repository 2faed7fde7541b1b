import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ErrorCode } from '../../src/errors.js';
import {
  checkPath,
  comparePaths,
  encodeEntry,
  encodePathText,
  type FolderEntry,
  isManifestStart,
  linkTargetReason,
  MANIFEST_HEADER,
  MAX_LINE_BYTES,
  ManifestReader,
  ManifestWriter,
  type NameRules,
  SNIFF_BYTES,
} from '../../src/folder/index.js';
import { BAD_TARGETS, GOOD_TARGETS, NEVER, NOT_PORTABLE } from './hostile.js';

const HASH = 'ab'.repeat(32);
const END = (entryCount: number, sizeBytes = 0): string =>
  `${JSON.stringify({ type: 'end', entryCount, sizeBytes })}\n`;

const file = (path: string, sizeBytes = 5): FolderEntry => ({
  path,
  type: 'file',
  sizeBytes,
  fileHash: sizeBytes === 0 ? '0'.repeat(64) : HASH,
  mode: 0o644,
  mtimeMs: 1,
});
const folder = (path: string): FolderEntry => ({ path, type: 'folder', mode: 0o755, mtimeMs: 2 });
const link = (path: string, target: string): FolderEntry => ({
  path,
  type: 'symlink',
  target,
  mtimeMs: 3,
});

/** As it stands, whatever a writer would say to it. */
function textOf(entries: readonly FolderEntry[]): string {
  const sizeBytes = entries.reduce(
    (sum, each) => sum + (each.type === 'file' ? each.sizeBytes : 0),
    0,
  );
  return MANIFEST_HEADER + entries.map(encodeEntry).join('') + END(entries.length, sizeBytes);
}

function read(
  text: string | Uint8Array,
  rules: NameRules = 'portable',
  step = Infinity,
): FolderEntry[] {
  const bytes = typeof text === 'string' ? new TextEncoder().encode(text) : text;
  const reader = new ManifestReader(rules);
  const entries: FolderEntry[] = [];
  for (let at = 0; at < bytes.length; at += step) {
    entries.push(...reader.push(bytes.subarray(at, Math.min(bytes.length, at + step))));
  }
  const totals = reader.finish();
  expect(totals.entryCount).toBe(entries.length);
  return entries;
}

function codeOf(run: () => unknown): ErrorCode | 'none' {
  try {
    run();
    return 'none';
  } catch (error) {
    return (error as { code: ErrorCode }).code;
  }
}

/** Random folders, in the order of a manifest. */
const names = fc.oneof(
  fc.string({
    minLength: 1,
    maxLength: 4,
    unit: fc.constantFrom('a', 'b', '-', '.', 'é', '😀', '\ufffd', '\udcff'),
  }),
  fc.string({ minLength: 1, maxLength: 8, unit: 'grapheme' }).filter((name) => !name.includes('/')),
);
const trees = fc
  .array(
    fc.tuple(
      fc.array(names, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 0, max: 9 }),
      fc.boolean(),
    ),
    {
      maxLength: 30,
    },
  )
  .map((leaves) => {
    const byPath = new Map<string, FolderEntry>();
    for (const [parts, sizeBytes, isLink] of leaves) {
      const path = parts.join('/');
      if (codeOf(() => checkPath(path, 'native')) !== 'none' || byPath.has(path)) continue;
      const above = parts.slice(0, -1).map((_, i) => parts.slice(0, i + 1).join('/'));
      if (above.some((each) => (byPath.get(each)?.type ?? 'folder') !== 'folder')) continue;
      for (const each of above) byPath.set(each, folder(each));
      byPath.set(path, isLink ? link(path, 'x') : file(path, sizeBytes));
    }
    return [...byPath.values()].sort((a, b) => comparePaths(a.path, b.path));
  });

describe('a manifest', () => {
  it('reads as what was written, in pieces of any size', () => {
    fc.assert(
      fc.property(trees, fc.integer({ min: 1, max: 50 }), (entries, step) => {
        const writer = new ManifestWriter('native');
        const text =
          writer.start() + entries.map((each) => writer.add(each)).join('') + writer.end();
        expect(text).toBe(textOf(entries));
        expect(read(text, 'native')).toEqual(entries);
        expect(read(text, 'native', step)).toEqual(entries);
      }),
      { numRuns: 60 },
    );
  });

  it('has the order of a walk: a folder is followed at once by what it holds', () => {
    const paths = ['a-b', 'a', 'a/z', 'a/b', 'a/b/c', 'A', 'ab', 'é', '😀', '\ufffd'];
    expect(paths.sort(comparePaths)).toEqual([
      'A',
      'a',
      'a/b',
      'a/b/c',
      'a/z',
      'a-b',
      'ab',
      'é',
      '\ufffd',
      '😀',
    ]);
    const bytes = (text: string): Uint8Array =>
      (encodePathText(text) as Uint8Array).map((byte) => (byte === 0x2f ? 0 : byte));
    fc.assert(
      fc.property(names, names, names, (a, b, c) => {
        const [left, right] = [`${a}/${b}`, c];
        fc.pre(encodePathText(left) !== null && encodePathText(right) !== null);
        fc.pre(![left, right].some((path) => /^\/|\/$|\/\/|\0/.test(path)));
        expect(Math.sign(comparePaths(left, right))).toBe(
          Buffer.compare(bytes(left), bytes(right)),
        );
      }),
    );
  });

  it('is known by its first bytes, of any version', () => {
    const start = new TextEncoder().encode(MANIFEST_HEADER);
    expect(isManifestStart(start)).toBe(true);
    expect(isManifestStart(start.subarray(0, SNIFF_BYTES))).toBe(true);
    expect(isManifestStart(start.subarray(0, SNIFF_BYTES - 1))).toBe(false);
    expect(isManifestStart(new TextEncoder().encode(' '.repeat(100)))).toBe(false);
  });

  it('ignores fields that it does not know', () => {
    const line = JSON.stringify({ owner: 'x', ...file('a'), xattrs: {} });
    expect(read(`${MANIFEST_HEADER}${line}\n${END(1, 5)}`)).toEqual([file('a')]);
  });

  it.each([...NEVER, ...NOT_PORTABLE])('with the path %j is refused', (path) => {
    expect(codeOf(() => read(textOf([file(path)])))).toMatch(/^(UNSAFE_PATH|LIMIT_EXCEEDED)$/);
  });

  it('is refused with a path that no system has, also by the rules of this one', () => {
    for (const path of NEVER) {
      expect(
        codeOf(() => read(textOf([file(path)]), 'native')),
        JSON.stringify(path.slice(0, 50)),
      ).toMatch(/^(UNSAFE_PATH|LIMIT_EXCEEDED)$/);
    }
    expect(NEVER.length + NOT_PORTABLE.length).toBeGreaterThan(170);
  });

  it('may have names that only some systems take, where that is asked for', () => {
    const own = ['12:00', 'a\nb', 'a\\b', 'a\udcffb', 'nul', 'x.'];
    for (const path of own) expect(read(textOf([file(path)]), 'native')).toEqual([file(path)]);
  });

  it.each(BAD_TARGETS)('with a link to %j is refused by all rules', (target) => {
    const entries = [folder('d'), link('d/l', target)];
    for (const rules of ['portable', 'native'] as const) {
      expect(codeOf(() => read(textOf(entries), rules))).toBe('UNSAFE_PATH');
    }
  });

  it('may have links that stay inside', () => {
    for (const target of GOOD_TARGETS) {
      expect(linkTargetReason('d/l', target, 'portable'), target).toBeNull();
    }
    expect(linkTargetReason('d/l', 'c:/x', 'portable')).not.toBeNull();
    expect(linkTargetReason('l', '..', 'native')).not.toBeNull();
  });

  it.each([
    ['twice the same name', [file('a'), file('a')], 'FORMAT_INVALID'],
    ['another order', [file('b'), file('a')], 'FORMAT_INVALID'],
    ['a folder after what it holds', [file('a/b'), folder('a')], 'FORMAT_INVALID'],
    ['a folder that is missing', [folder('a'), file('a/b/c')], 'FORMAT_INVALID'],
    ['a name below a file', [file('a'), file('a/b')], 'FORMAT_INVALID'],
    ['a name below a link', [folder('d'), link('l', 'd'), file('l/x')], 'FORMAT_INVALID'],
    [
      'a folder that is opened again',
      [folder('a'), file('a/x'), file('b'), file('a/y')],
      'FORMAT_INVALID',
    ],
    ['names that differ by case', [file('README'), file('readme')], 'UNSAFE_PATH'],
    [
      'folders that differ by case',
      [folder('A'), file('A/x'), folder('a'), file('a/x')],
      'UNSAFE_PATH',
    ],
    ['names that differ by Unicode form', [file('a\u0308'), file('ä')], 'UNSAFE_PATH'],
    ['a file and a folder that differ by case', [folder('D'), file('d')], 'UNSAFE_PATH'],
    ['names that fold to one', [file('STRASSE'), file('straße')], 'UNSAFE_PATH'],
  ] as const)('with %s is refused', (_, entries, code) => {
    expect(codeOf(() => read(textOf(entries)))).toBe(code);
  });

  it('takes names that differ by case where this system does', () => {
    const entries = [file('README'), file('readme')];
    expect(read(textOf(entries), 'native')).toEqual(entries);
  });

  const broken = (fields: object): string =>
    `${MANIFEST_HEADER}${JSON.stringify({ ...file('a'), ...fields })}\n${END(1, 5)}`;
  it.each([
    ['nothing', '', 'FORMAT_INVALID'],
    ['another file', 'PK\u0003\u0004 and so on', 'FORMAT_INVALID'],
    ['another file without a newline', 'x'.repeat(200_000), 'FORMAT_INVALID'],
    [
      'a magic line without an end',
      '{"format":"orbweaver-folder",'.padEnd(200_000),
      'FORMAT_INVALID',
    ],
    ['another version', '{"format":"orbweaver-folder","version":2}\n', 'UNSUPPORTED'],
    ['no last line', MANIFEST_HEADER, 'TRUNCATED'],
    ['a cut last line', textOf([file('a')]).slice(0, -1), 'TRUNCATED'],
    ['more than its last line', `${textOf([])}{}\n`, 'FORMAT_INVALID'],
    ['a wrong count', `${MANIFEST_HEADER}${END(1)}`, 'FORMAT_INVALID'],
    ['a wrong sum', `${MANIFEST_HEADER}${encodeEntry(file('a'))}${END(1, 4)}`, 'FORMAT_INVALID'],
    ['an empty line', `${MANIFEST_HEADER}\n`, 'FORMAT_INVALID'],
    ['no JSON', `${MANIFEST_HEADER}{"path":\n`, 'FORMAT_INVALID'],
    ['a list', `${MANIFEST_HEADER}[]\n`, 'FORMAT_INVALID'],
    ['an unknown type', broken({ type: 'device' }), 'UNSUPPORTED'],
    ['no type', broken({ type: undefined }), 'FORMAT_INVALID'],
    ['a hash of 63 digits', broken({ fileHash: 'a'.repeat(63) }), 'FORMAT_INVALID'],
    ['a hash in capitals', broken({ fileHash: 'A'.repeat(64) }), 'FORMAT_INVALID'],
    ['zeros for a file that is not empty', broken({ fileHash: '0'.repeat(64) }), 'FORMAT_INVALID'],
    ['a hash for an empty file', broken({ sizeBytes: 0 }), 'FORMAT_INVALID'],
    ['a negative size', broken({ sizeBytes: -1 }), 'FORMAT_INVALID'],
    ['a size with a fraction', broken({ sizeBytes: 0.5 }), 'FORMAT_INVALID'],
    ['a size that is no number', broken({ sizeBytes: '5' }), 'FORMAT_INVALID'],
    ['a size beyond 2^53', broken({ sizeBytes: 2 ** 53 }), 'FORMAT_INVALID'],
    ['set-user-id', broken({ mode: 0o4755 }), 'FORMAT_INVALID'],
    ['no mode', broken({ mode: null }), 'FORMAT_INVALID'],
    ['a time beyond all dates', broken({ mtimeMs: 8.64e15 + 1 }), 'FORMAT_INVALID'],
    ['a path that is no text', broken({ path: ['a'] }), 'FORMAT_INVALID'],
    [
      'a path of a prototype',
      `${MANIFEST_HEADER}{"__proto__":{"path":"a"},"type":"folder"}\n`,
      'FORMAT_INVALID',
    ],
    ['a line of 64 KiB', broken({ more: 'x'.repeat(MAX_LINE_BYTES) }), 'LIMIT_EXCEEDED'],
    [
      'files of more than 2^53 bytes',
      textOf([file('a', Number.MAX_SAFE_INTEGER), file('b', 1)]),
      'LIMIT_EXCEEDED',
    ],
  ] as const)('with %s is refused', (_, text, code) => {
    for (const step of [Infinity, 7]) {
      if (text.length / step < 10_000)
        expect(codeOf(() => read(text, 'portable', step))).toBe(code);
    }
  });

  it('that is not UTF-8 is refused', () => {
    const bytes = new TextEncoder().encode(textOf([file('a')]));
    bytes[MANIFEST_HEADER.length + 9] = 0xff;
    expect(codeOf(() => read(bytes))).toBe('FORMAT_INVALID');
  });

  it('is refused wherever it is cut, and whatever bit is flipped, or reads as something valid', () => {
    const bytes = new TextEncoder().encode(textOf([folder('a'), file('a/b'), link('c', 'a/b')]));
    for (let length = 0; length < bytes.length; length++) {
      expect(codeOf(() => read(bytes.subarray(0, length)))).toMatch(/^(TRUNCATED|FORMAT_INVALID)$/);
    }
    for (let at = 0; at < bytes.length; at++) {
      for (const bit of [1, 4, 128]) {
        const flipped = bytes.slice();
        flipped[at] = (flipped[at] as number) ^ bit;
        // Never anything but a code of ours.
        expect(codeOf(() => read(flipped))).toMatch(/^[a-zA-Z_]+$/);
      }
    }
  });

  it('holds one line, however long the rest is', () => {
    const reader = new ManifestReader('portable');
    const push = (text: string): number => [...reader.push(new TextEncoder().encode(text))].length;
    push(MANIFEST_HEADER);
    let count = 0;
    for (let i = 0; i < 20_000; i++) {
      count += push(encodeEntry(file(`f${String(i).padStart(8, '0')}`)));
    }
    count += push(END(20_000, 100_000));
    expect(count).toBe(20_000);
    expect(reader.finish()).toMatchObject({
      fileCount: 20_000,
      sizeBytes: 100_000,
      largestBytes: 5,
    });
  });
});
