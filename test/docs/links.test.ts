import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

/** What a text points to is there: links of documents, and files that comments name. */

const root = fileURLToPath(new URL('../..', import.meta.url));

function filesBelow(folder: string, suffix: RegExp): string[] {
  return readdirSync(join(root, folder), { recursive: true })
    .map((name) => join(folder, String(name)))
    .filter((name) => suffix.test(name) && !/node_modules|docs\/api\//.test(name));
}

const pages = [
  ...readdirSync(root).filter((name) => name.endsWith('.md')),
  ...['docs', 'bench', 'fixtures'].flatMap((folder) => filesBelow(folder, /\.md$/)),
];

/** The anchors of a page, as GitHub makes them of its headings. */
function anchorsOf(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

describe('what texts point to', () => {
  it.each(pages)('exists: the links of %s', (page) => {
    const text = readFileSync(join(root, page), 'utf8').replace(/^```[\s\S]*?^```$/gm, '');
    const missing = [...text.matchAll(/\]\(([^)\s]+)\)/g)].flatMap(([, link = '']) => {
      if (/^[a-z]+:/.test(link)) return [];
      const [file = '', anchor] = link.split('#');
      const target = join(root, file === '' ? page : join(dirname(page), file));
      if (!existsSync(target)) return [link];
      if (anchor === undefined || statSync(target).isDirectory()) return [];
      return anchorsOf(readFileSync(target, 'utf8')).includes(anchor) ? [] : [link];
    });
    expect(missing).toEqual([]);
  });

  it('exists: the files that comments and documents name', () => {
    const named = /\b(?:docs|bench|fixtures|test|scripts|src)\/[\w./-]+\.(?:md|mjs|ts|json)\b/g;
    const sources = ['src', 'scripts', 'test'].flatMap((folder) =>
      filesBelow(folder, /\.m?ts$|\.mjs$/),
    );
    const missing = [...pages, ...sources].flatMap((path) =>
      [...readFileSync(join(root, path), 'utf8').matchAll(named)]
        .map(([name]) => name)
        // What tests make up, what a build makes, and a file of another project.
        .filter(
          (name) => !/^docs\/api\/|^src\/(?:x|table)/.test(name) && !existsSync(join(root, name)),
        )
        .map((name) => `${path}: ${name}`),
    );
    expect(missing).toEqual([]);
  });
});
