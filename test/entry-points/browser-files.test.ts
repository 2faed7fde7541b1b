import { readdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';

/** The files that a page loads, as they were built. */

const dist = resolve(import.meta.dirname, '../../dist');
const names = readdirSync(dist).filter((name) => /^browser.*\.js$/.test(name));
const texts = new Map(names.map((name) => [name, readFileSync(join(dist, name), 'utf8')]));

/** What is imported, statically or not, and from where workers come. */
const IMPORT =
  /(?<!")(?:\bfrom|\bimport\(|\bimport)\s*"([^"\s]+)"|new URL\("([^"]+)",import\.meta\.url\)/g;

describe('the files for a page', () => {
  it('import each other only, and nothing of Node', () => {
    for (const text of texts.values()) {
      for (const [, imported, worker] of text.matchAll(IMPORT)) {
        expect(names).toContain((imported ?? worker ?? '').replace(/^\.\//, ''));
      }
      expect(text).not.toContain('node:');
    }
    expect(names).toContain('browser.js');
    expect(names).toContain('browser-worker.js');
  });

  it('use no global that a page lacks, and carry no stand-in for one', () => {
    for (const text of texts.values()) {
      expect(
        text.match(/(?<![\w.$"'])(?:Buffer|process|setImmediate|__dirname)(?=[.([])/g),
      ).toBeNull();
    }
  });

  it('are as small as docs/browser.md says', () => {
    const kilobytes = (name: string): number => {
      const loaded = new Set([name]);
      for (const each of loaded) {
        for (const [, imported] of (texts.get(each) as string).matchAll(/\bfrom"\.\/([^"\s]+)"/g)) {
          loaded.add(imported as string);
        }
      }
      const bytes = [...loaded].map((each) => gzipSync(texts.get(each) as string).length);
      return Math.ceil(bytes.reduce((sum, length) => sum + length, 0) / 1000);
    };
    expect(kilobytes('browser.js')).toBeLessThanOrEqual(138);
    expect(kilobytes('browser-worker.js')).toBeLessThanOrEqual(55);
  });
});
