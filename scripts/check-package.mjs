// What would be published, used the way strangers use it. A clean copy of this commit (plus what is
// changed and not ignored) is cloned, packed, installed in an empty folder, and then imported,
// required, type-checked, bundled, built and run from there. Nothing of this checkout helps it except
// its installed dependencies, which spare the copy a second download.
//
//     node scripts/check-package.mjs [--keep]
import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { consumers } from './check-package/consumers.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const tools = join(root, 'node_modules');
const work = mkdtempSync(join(tmpdir(), 'orbweaver-package-'));
const problems = [];

/** Runs a command; what it printed, or null after a failure, which is then a problem. */
function run(what, cwd, command, args, env = {}) {
  const clean = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^npm_(?!config_)/.test(name)),
  );
  const result = spawnSync(command, args, {
    cwd,
    env: { ...clean, ...env },
    encoding: 'utf8',
    timeout: 300_000,
  });
  const ok = result.status === 0;
  console.log(`check-package: ${ok ? 'ok  ' : 'FAIL'} ${what}`);
  if (ok) return result.stdout;
  const said = `${result.stdout ?? ''}${result.stderr ?? ''}${result.error ?? ''}`.trim();
  problems.push(`${what}\n${said.split('\n').slice(-25).join('\n')}`);
  return null;
}

/** A clone of HEAD with the files of the working tree on top, without anything that Git ignores. */
function cleanCopy(target) {
  execFileSync('git', ['clone', '--quiet', '--no-hardlinks', root, target]);
  const list = (...args) =>
    execFileSync('git', ['ls-files', '-z', ...args], { cwd: root, encoding: 'utf8' })
      .split('\0')
      .filter((name) => name !== '');
  for (const name of list('--modified', '--others', '--exclude-standard')) {
    if (!existsSync(join(root, name))) continue;
    mkdirSync(dirname(join(target, name)), { recursive: true });
    cpSync(join(root, name), join(target, name));
  }
  for (const name of list('--deleted')) rmSync(join(target, name), { force: true });
  symlinkSync(tools, join(target, 'node_modules'), 'dir');
}

/** @param copy where it was packed: the reference of the API is made there */
function checkContents(packed, copy) {
  const must = (holds, text) => {
    if (!holds) problems.push(text);
  };
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const wanted = ['docs/api/index.md', 'README.md', 'LICENSE', 'CHANGELOG.md', 'SECURITY.md'];
  for (const target of Object.values(manifest.exports)) {
    if (typeof target !== 'string') wanted.push(target.types.slice(2), target.default.slice(2));
  }
  wanted.push(...Object.values(manifest.bin));
  wanted.push('dist/workers/worker-main.cjs', 'dist/workers/sha256-main.cjs');
  wanted.push('dist/browser-worker.js', 'dist/ui/index.html');
  for (const path of wanted) must(packed.includes(path), `the package lacks ${path}`);
  for (const path of packed) {
    must(!/^(src|test|fixtures|scripts|bench|\.)/.test(path), `the package holds ${path}`);
  }
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');
  must(!lock.includes('"resolved": "http'), 'the lock file names a registry');
  // Pictures lie among them.
  for (const document of packed.filter((path) => /^(README|docs\/.*)\.md$/.test(path))) {
    checkLinks(copy, document, packed, must);
  }
}

/** A relative link of a document of the package leads to a file of the package. */
function checkLinks(copy, document, packed, must) {
  const text = readFileSync(join(copy, document), 'utf8');
  for (const [, target] of text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)) {
    if (/^[a-z]+:/.test(target)) continue;
    const path = join(dirname(document), target).replace(/\/$/, '');
    const there = packed.includes(path) || packed.some((file) => file.startsWith(`${path}/`));
    must(there, `${document} links to ${target}, which the package lacks`);
  }
}

/** The entry point of the formats stays free of Node, so that it runs in a browser. */
function checkFormats(dist) {
  const seen = new Set();
  const walk = (file) => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const [, specifier] of readFileSync(file, 'utf8').matchAll(/from '([^']+)'/g)) {
      if (specifier.startsWith('.')) walk(join(dirname(file), specifier));
      else problems.push(`formats reaches "${specifier}" in ${file}`);
    }
  };
  walk(join(dist, 'formats.js'));
}

/** Installed from Git, the package is built by its "prepare", with development dependencies of its own. */
function fromGit(copy) {
  const git = (...args) => execFileSync('git', args, { cwd: copy });
  git('add', '--all', '--', '.', ':!node_modules', ':!*.tgz');
  const who = ['-c', 'user.name=check', '-c', 'user.email=check@localhost'];
  git(...who, 'commit', '--quiet', '--allow-empty', '--message', 'working tree');
  const app = join(work, 'git-app');
  mkdirSync(app);
  writeFileSync(join(app, 'package.json'), '{"name":"app","private":true}\n');
  const source = `git+file://${copy}`;
  const install = ['install', '--no-audit', '--no-fund', '--prefer-offline', source];
  if (run('install from Git', app, 'npm', install) === null) return;
  run('npx after an install from Git', app, 'npx', ['--no-install', 'orbweaver', '--version']);
}

try {
  const copy = join(work, 'copy');
  cleanCopy(copy);
  const out = run('npm pack in a clean copy', copy, 'npm', ['pack', '--json', '--silent']);
  if (out !== null) {
    const packed = readdirSync(copy).find((name) => name.endsWith('.tgz'));
    const tarball = join(copy, packed);
    const files = execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' })
      .split('\n')
      .filter((name) => name !== '' && !name.endsWith('/'))
      .map((name) => name.slice('package/'.length));
    checkContents(files, copy);
    run('publint', copy, process.execPath, [
      join(tools, 'publint/src/cli.js'),
      tarball,
      '--strict',
    ]);
    const attw = join(tools, '@arethetypeswrong/cli/dist/index.js');
    run('attw', copy, process.execPath, [attw, tarball, '--profile', 'esm-only', '--no-emoji']);

    const app = join(work, 'app');
    mkdirSync(app);
    writeFileSync(join(app, 'package.json'), '{"name":"app","private":true,"type":"module"}\n');
    const flags = ['--no-audit', '--no-fund', '--prefer-offline', '--foreground-scripts'];
    const said = run('install in an empty folder', app, 'npm', ['install', ...flags, tarball]);
    if (said !== null) {
      const installed = join(app, 'node_modules/orbweaver/package.json');
      const { scripts, devDependencies } = JSON.parse(readFileSync(installed, 'utf8'));
      if (scripts ?? devDependencies)
        problems.push('the packed manifest keeps what is for a clone');
      if (/orbweaver@\S+ \(?\w*(prepare|install)/.test(said)) problems.push(`at install: ${said}`);
      const copied = readFileSync(join(copy, 'package.json'), 'utf8');
      if (copied !== readFileSync(join(root, 'package.json'), 'utf8')) {
        problems.push('packing left another manifest behind');
      }
      checkFormats(join(app, 'node_modules/orbweaver/dist'));
      consumers({ app, tools, run });
    }
    fromGit(copy);
    console.log(`check-package: ${files.length} files in the package`);
  }
} finally {
  if (process.argv.includes('--keep')) console.log(`check-package: kept ${work}`);
  else rmSync(work, { recursive: true, force: true });
}
for (const problem of problems) console.error(`\ncheck-package: ${problem}`);
console.log(`check-package: ${problems.length} problems`);
process.exit(problems.length === 0 ? 0 : 1);
