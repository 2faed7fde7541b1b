// What would be published: every export resolves, imports and has types; no file of this checkout
// that does not belong; the binary is executable; the README and the lock file name no registry.
import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const problems = [];
const must = (holds, text) => {
  if (!holds) problems.push(text);
};

for (const [name, target] of Object.entries(manifest.exports)) {
  if (typeof target === 'string') continue;
  must(existsSync(join(root, target.types)), `${name}: no ${target.types}`);
  must(existsSync(join(root, target.default)), `${name}: no ${target.default}`);
  const specifier = `orbweaver${name.slice(1)}`;
  const module = await import(specifier);
  must(Object.keys(module).length > 0, `${specifier} exports nothing`);
}
for (const path of Object.values(manifest.bin)) {
  accessSync(join(root, path), constants.X_OK);
  must(readFileSync(join(root, path), 'utf8').startsWith('#!'), `${path} has no #! line`);
}
const [pack] = JSON.parse(
  execFileSync('npm', ['pack', '--dry-run', '--json', '--ignore-scripts'], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }),
);
const packed = pack.files.map((file) => file.path);
for (const wanted of [
  'README.md',
  'LICENSE',
  'dist/index.js',
  'dist/index.d.ts',
  'dist/workers/worker-main.cjs',
  'dist/workers/sha256-main.cjs',
]) {
  must(packed.includes(wanted), `the package lacks ${wanted}`);
}
for (const path of packed) {
  must(!/^(src|test|fixtures|\.ci|bench)\//.test(path), `the package holds ${path}`);
}
must(statSync(join(root, 'package-lock.json')).size > 0, 'no lock file');
const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');
must(!lock.includes('"resolved": "http'), 'the lock file names a registry');

// The formats door must stay free of Node, so that it runs in a browser: walk its import graph.
const seen = new Set();
const walk = (file) => {
  if (seen.has(file)) return;
  seen.add(file);
  for (const [, specifier] of readFileSync(file, 'utf8').matchAll(/from '([^']+)'/g)) {
    if (specifier.startsWith('.')) walk(join(dirname(file), specifier));
    else must(false, `formats reaches "${specifier}" in ${file.slice(root.length + 1)}`);
  }
};
walk(join(root, 'dist', 'formats.js'));

for (const problem of problems) console.error(`check-package: ${problem}`);
console.log(`check-package: ${packed.length} files, ${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);
