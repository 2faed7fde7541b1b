// Runs the built package on other runtimes than Node:
//
//     npm run build && node scripts/on-runtime.mjs bun deno
//
// What runs there is scripts/runtimes/smoke.mjs, a plain program over the built package, and then the tests of what
// the library does for those who import it (vitest.runtimes.config.ts, which says what is left out and why); with
// --smoke the program only. The binaries are those that the npm
// packages of the same names carry, installed below .cache/. Where they cannot be had, the last line says
// "runtimes: skipped" and why, and the exit code is 0.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Versions that were tried, and how a program is run. */
const RUNTIMES = {
  bun: { version: '1.4.5', binary: 'bun/bin/bun.exe', args: ['--bun', 'run'] },
  deno: { version: '2.9.6', binary: 'deno/deno', args: ['run', '--allow-all'] },
};

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const skipped = [];

const onlySmoke = process.argv.includes('--smoke');
for (const name of process.argv.slice(2).filter((each) => each !== '--smoke')) {
  const runtime = RUNTIMES[name];
  if (runtime === undefined) {
    console.error(`on-runtime: expected ${Object.keys(RUNTIMES).join(' or ')}, got "${name}"`);
    process.exit(2);
  }
  const binary = install(name, runtime);
  const found =
    binary === null
      ? null
      : spawnSync(binary, ['--version'], { encoding: 'utf8', timeout: 20_000 });
  if (found === null || found.status !== 0) {
    skipped.push(name);
    continue;
  }
  console.log(`on-runtime: ${name} ${found.stdout.trim().split('\n')[0]}`);
  const program = join(root, 'scripts', 'runtimes', 'smoke.mjs');
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const suites = [vitest, 'run', '--config', 'vitest.runtimes.config.ts'];
  for (const args of [[program, join(root, 'dist')], ...(onlySmoke ? [] : [suites])]) {
    const run = spawnSync(binary, [...runtime.args, ...args], {
      cwd: root,
      stdio: 'inherit',
      timeout: 3_600_000,
    });
    if (run.status === 0) continue;
    console.error(`on-runtime: ${name} ended with ${run.status ?? run.signal}`);
    process.exit(1);
  }
}
if (skipped.length > 0) {
  console.log(
    `runtimes: skipped ${skipped.join(' and ')}: the npm package cannot be installed here`,
  );
}

/** The path of the binary, or null. */
function install(name, { version, binary }) {
  const folder = join(root, '.cache', `${name}-${version}`);
  const path = join(folder, 'node_modules', binary);
  if (!existsSync(path)) {
    mkdirSync(folder, { recursive: true });
    const args = ['install', '--no-save', '--no-audit', '--no-fund', '--prefix', folder];
    spawnSync('npm', [...args, `${name}@${version}`], {
      cwd: root,
      stdio: 'ignore',
      timeout: 180_000,
    });
  }
  return existsSync(path) ? path : null;
}
