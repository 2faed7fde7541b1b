import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { describe, expect, it } from 'vitest';

/** docs/architecture.md has the table; this test is what makes it the law. */

const root = resolve(import.meta.dirname, '../..');
const src = join(root, 'src');
const CORE = ['bytes', 'hash', 'chunker', 'compress', 'xorb', 'shard', 'plan', 'edit', 'dedup'];
const ENTRY_POINTS = [
  'index.ts',
  'formats.ts',
  'gateway.ts',
  'hub.ts',
  'targets.ts',
  'browser.ts',
  'bench.ts',
];

interface Row {
  readonly modules: ReadonlySet<string>;
  readonly portsOf: ReadonlySet<string>;
  readonly libraries: ReadonlySet<string>;
}

function readTable(): Map<string, Row> {
  const text = readFileSync(join(root, 'docs/architecture.md'), 'utf8');
  const rows = new Map<string, Row>();
  const all: string[] = [];
  for (const line of text.split('\n')) {
    const cells = /^\| `([a-z.-]+)` \| .* \| ([^|]+) \| ([^|]+) \|$/.exec(line);
    if (cells === null) continue;
    const [, name, imports, libraries] = cells as unknown as [string, string, string, string];
    const modules = new Set<string>([name]);
    const portsOf = new Set<string>();
    for (const part of imports.split(',').map((text) => text.trim())) {
      if (part === 'nothing') continue;
      if (part === 'the core') for (const each of ['errors.ts', ...CORE]) modules.add(each);
      else if (part === 'core ports') for (const each of CORE) portsOf.add(each);
      else if (part === 'everything above') for (const each of all) modules.add(each);
      else if (part === 'entry points') for (const each of ENTRY_POINTS) modules.add(each);
      else if (part.endsWith(' ports')) portsOf.add(part.slice(0, -' ports'.length));
      else modules.add(part === 'errors' ? 'errors.ts' : part);
    }
    rows.set(name, {
      modules,
      portsOf,
      libraries: new Set(libraries.split(',').map((text) => text.trim())),
    });
    all.push(name);
  }
  return rows;
}

const IMPORT =
  /(?:^|[\s;])(?:import|export)\s[^'";]*?from\s*'([^']+)'|import\s*\(\s*'([^']+)'\s*\)|^import\s*'([^']+)'/gm;

/** Every import of a file: static, type-only, dynamic and re-exported. */
function importsOf(file: string): string[] {
  const text = readFileSync(file, 'utf8');
  return [...text.matchAll(IMPORT)].map((match) => (match[1] ?? match[2] ?? match[3]) as string);
}

function moduleOf(path: string): string {
  return relative(src, path).split(sep)[0] as string;
}

function sourceFiles(): string[] {
  return readdirSync(src, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && /\.tsx?$/.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !file.includes(`${sep}kernels${sep}assembly${sep}`));
}

function faultOf(file: string, specifier: string, rows: ReadonlyMap<string, Row>): string | null {
  const home = moduleOf(file);
  const row = rows.get(home);
  if (row === undefined) return `the table has no row for ${home}`;
  if (!specifier.startsWith('.')) {
    const isNode = specifier.startsWith('node:');
    if (row.libraries.has(specifier) || (isNode && row.libraries.has('node'))) return null;
    return `${home} may not use ${specifier}`;
  }
  const target = resolve(dirname(file), specifier).replace(/\.js$/, '.ts');
  const other = moduleOf(target);
  if (other === home) return null;
  const inside = relative(join(src, other), target).split(sep).join('/');
  if (row.portsOf.has(other) && inside.endsWith('ports.ts')) return null;
  if (!row.modules.has(other)) return `${home} may not import ${other}`;
  // A module is entered by its index and its ports; compose, the wiring, by its files.
  const entry = inside === '' || inside === 'index.ts' || inside.endsWith('ports.ts');
  if (entry || other === 'compose' || ['downloads.ts', 'targets.ts', 'web.ts'].includes(inside))
    return null;
  return `${inside} of ${other} is not an entry`;
}

describe('the layer table', () => {
  const rows = readTable();

  it('has a row for every module', () => {
    const modules = new Set(sourceFiles().map(moduleOf));
    expect([...modules].filter((name) => !rows.has(name))).toEqual([]);
  });

  it('names every import between modules, and every library', () => {
    const faults = sourceFiles().flatMap((file) =>
      importsOf(file)
        .map((specifier) => faultOf(file, specifier, rows))
        .filter((fault) => fault !== null)
        .map((fault) => `${relative(src, file)}: ${fault}`),
    );
    expect(faults).toEqual([]);
  });

  it('would notice a forbidden import', () => {
    const file = join(src, 'hash', 'tree.ts');
    expect(faultOf(file, '../client/index.js', rows)).toBe('hash may not import client');
    expect(faultOf(file, 'node:fs', rows)).toBe('hash may not use node:fs');
    expect(faultOf(join(src, 'workers', 'pool.ts'), '../xorb/reader.js', rows)).toBe(
      'reader.ts of xorb is not an entry',
    );
  });

  it('keeps files and servers in the corners that the table names', () => {
    const fileUsers = sourceFiles()
      .filter((file) => ['gateway', 'workers'].includes(moduleOf(file)))
      .filter((file) => importsOf(file).some((each) => each.startsWith('node:fs')));
    for (const file of fileUsers)
      expect(relative(src, file)).toMatch(
        /^(gateway\/stores\/|workers\/(tasks\/|cpu-quota|worker-files))/,
      );
    const servers = sourceFiles()
      .filter((file) => moduleOf(file) === 'gateway')
      .filter((file) => importsOf(file).some((each) => /^node:https?$/.test(each)));
    for (const file of servers) expect(relative(src, file)).toMatch(/^gateway\/node-/);
  });
});
