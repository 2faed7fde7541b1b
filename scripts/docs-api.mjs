// Writes the reference of the API into docs/api, one page per entry point, from the declarations in
// dist/ and their docstrings:
//
//     npm run docs:api [-- --check]
//
// The output is not committed: it follows from the sources alone, and each change of a docstring would
// be one of it, too. It is made whenever the package is packed (prepack), so the package has it. `--check` fails
// when it would change, for those who keep a copy; with `--optional` the lack of a network is no failure:
// the package then goes without. The tools need another TypeScript than ours, so they
// are no dependencies: docs-api/package-lock.json pins them, and they are installed below .cache/.
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ENTRY_POINTS = ['index', 'formats', 'gateway', 'hub', 'targets', 'browser', 'bench'];

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const tools = join(root, '.cache', 'docs-api');
const check = process.argv.includes('--check');
const optional = process.argv.includes('--optional');
const target = join(root, 'docs', 'api');
const output = check ? join(tools, 'output') : target;

function run(command, args) {
  // Its words go where those of npm go: `npm pack --json` has standard output for itself.
  const { status } = spawnSync(command, args, { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) process.exit(status ?? 1);
}

const typedoc = join(tools, 'node_modules', 'typedoc', 'bin', 'typedoc');
if (!existsSync(typedoc)) {
  mkdirSync(tools, { recursive: true });
  for (const name of ['package.json', 'package-lock.json']) {
    copyFileSync(join(root, 'scripts', 'docs-api', name), join(tools, name));
  }
  const quiet = ['--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline'];
  const install = ['ci', ...quiet, '--prefix', tools];
  const { status } = spawnSync('npm', install, { cwd: root, stdio: ['ignore', 2, 2] });
  if (status !== 0) {
    rmSync(tools, { recursive: true, force: true });
    console.error('docs-api: its tools could not be installed; there is no docs/api');
    process.exit(optional ? 0 : 1);
  }
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
  strict: true,
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
  ...['parameters', 'interfaceProperties', 'classProperties', 'typeDeclaration'].flatMap((what) => [
    `--${what}Format`,
    'table',
  ]),
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
console.error(`docs-api: ${check ? 'up to date' : 'written to docs/api'}`);
