// Runs the unit suites on other versions of Node:
//
//     node scripts/on-node.mjs 22 24
//
// The binaries are those that the npm package `node` carries, installed below .cache/ and never as a
// dependency, which would shadow Node in scripts. All suites have run on the oldest version already.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Suites of what differs between versions of Node: files, sockets, threads. */
const SUITES = [
  ...['entry-points/', 'io/', 'platform/', 'transport/', 'workers/'],
  ...['gateway/stores', 'gateway/values', 'gateway/odd-disks', 'gateway/node-', 'gateway/tls'],
];

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const suites = SUITES.map((name) => `test/${name}`);

for (const version of process.argv.slice(2)) {
  const node = install(version);
  const actual = spawnSync(node, ['--version'], { encoding: 'utf8' }).stdout.trim();
  if (!actual.startsWith(`v${version}.`)) {
    console.error(`on-node: expected Node ${version}, got "${actual}"`);
    process.exit(1);
  }
  console.log(`on-node: ${actual}, ${suites.join(' ')}`);
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const run = spawnSync(node, [vitest, 'run', ...suites], { cwd: root, stdio: 'inherit' });
  if (run.status !== 0) process.exit(run.status ?? 1);
}

function install(version) {
  const folder = join(root, '.cache', `node${version}`);
  const node = join(folder, 'node_modules', 'node', 'bin', 'node');
  if (!existsSync(node)) {
    mkdirSync(folder, { recursive: true });
    const args = ['install', '--no-save', '--no-audit', '--no-fund', '--prefix', folder];
    const run = spawnSync('npm', [...args, `node@${version}`], { cwd: root, stdio: 'inherit' });
    if (run.status !== 0) process.exit(run.status ?? 1);
  }
  return node;
}
