// Writes the reference of the API into docs/api, one page per entry point, from the declarations in
// dist/ and their docstrings:
//
//     npm run docs:api [-- --check]
//
// The output is not committed: it is long, follows from the sources alone, and would be a second
// place for each docstring. `--check` fails when it would change, for those who keep a copy. The tools
// need another TypeScript than ours, so they are no dependencies: pinned here, installed below .cache/.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const TOOLS = ['typedoc@0.28.14', 'typedoc-plugin-markdown@4.9.0', 'typescript@5.9.3'];
const ENTRY_POINTS = ['index', 'formats', 'gateway', 'bench'];

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const tools = join(root, '.cache', 'docs-api');
const check = process.argv.includes('--check');
const target = join(root, 'docs', 'api');
const output = check ? join(tools, 'output') : target;

function run(command, args) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: 'inherit' });
  if (status !== 0) process.exit(status ?? 1);
}

const typedoc = join(tools, 'node_modules', 'typedoc', 'bin', 'typedoc');
if (!existsSync(typedoc)) {
  mkdirSync(tools, { recursive: true });
  const quiet = ['--no-save', '--no-audit', '--no-fund', '--ignore-scripts'];
  run('npm', ['install', ...quiet, '--prefix', tools, ...TOOLS]);
}
const tsconfig = join(tools, 'tsconfig.json');
const entryPoints = ENTRY_POINTS.map((name) => join(root, 'dist', `${name}.d.ts`));
const compilerOptions = {
  module: 'nodenext',
  moduleResolution: 'nodenext',
  target: 'es2022',
  lib: ['es2023'],
  types: ['node'],
  typeRoots: [join(root, 'node_modules', '@types')],
  skipLibCheck: true,
};
writeFileSync(tsconfig, JSON.stringify({ compilerOptions, files: entryPoints }));
rmSync(output, { recursive: true, force: true });
run(process.execPath, [
  typedoc,
  ...entryPoints.flatMap((path) => ['--entryPoints', path]),
  ...['--tsconfig', tsconfig, '--plugin', 'typedoc-plugin-markdown', '--out', output],
  ...['--router', 'module', '--readme', 'none', '--name', 'orbweaver'],
  ...['--disableSources', '--disableGit', '--hideGenerator', '--excludeExternals'],
  ...['--sort', 'source-order', '--logLevel', 'Error', '--skipErrorChecking'],
]);

if (check) {
  const pages = (folder) =>
    existsSync(folder)
      ? readdirSync(folder, { recursive: true })
          .filter((name) => name.endsWith('.md'))
          .sort()
          .map((name) => [name, readFileSync(join(folder, name), 'utf8')])
      : [];
  if (JSON.stringify(pages(output)) !== JSON.stringify(pages(target))) {
    console.error('docs-api: docs/api is not what the declarations give; run npm run docs:api');
    process.exit(1);
  }
}
console.log(`docs-api: ${check ? 'up to date' : 'written to docs/api'}`);
