import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  exports: Record<string, string | { readonly types: string }>;
};
const entries = Object.values(exports).flatMap((target) =>
  typeof target === 'string' ? [] : [target.types],
);

/** The declarations that a user's compiler reads for an entry, and what they import of other packages. */
function reachable(entry: string): { readonly files: Set<string>; readonly packages: string[] } {
  const files = new Set<string>();
  const packages: string[] = [];
  const open = [join(root, entry)];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (files.has(file)) continue;
    files.add(file);
    const text = readFileSync(file, 'utf8').replace(/\/\*[\s\S]*?\*\//g, '');
    for (const [, name = ''] of text.matchAll(/(?:\bfrom\s*|\bimport\s*\(?\s*)['"]([^'"]+)['"]/g)) {
      if (name.startsWith('.')) open.push(join(dirname(file), name.replace(/\.js$/, '.d.ts')));
      else if (!name.startsWith('node:'))
        packages.push(`${name} in ${file.slice(root.length + 1)}`);
    }
  }
  return { files, packages };
}

describe('the public surface', () => {
  it.each(entries)('%s has no type of a dependency', (entry) => {
    const { files, packages } = reachable(entry);
    expect(packages).toEqual([]);
    expect(files.size).toBeGreaterThan(10);
  });

  it('is named: no entry point, and no index that one exports, passes on what it does not name', () => {
    const src = join(root, 'src');
    const sources = readdirSync(src, { recursive: true, encoding: 'utf8' });
    const passing = sources
      .filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
      .filter((name) => /^export (type )?\*/m.test(readFileSync(join(src, name), 'utf8')));
    expect(sources.length).toBeGreaterThan(500);
    expect(passing).toEqual([]);
  });
});
