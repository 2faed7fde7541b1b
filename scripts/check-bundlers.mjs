// Bundles an application that uses the built package, and runs it:
//
//     npm run build && node scripts/check-bundlers.mjs
//
// - webpack, target node, all in one bundle: where the package is installed, moved to where it is not, and
//   moved with a copy of dist/workers
// - webpack with orbweaver external
//
// The tools are installed below .cache/. Where they cannot be had, the last line says "bundlers: skipped" and the exit
// code is 0.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** Versions that were tried. */
const TOOLS = { webpack: '5.113.0' };

/** Stores 12 MB in a gateway of its own and reads them back; a folder of threads may be named. */
const PROGRAM = `
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient } from 'orbweaver';
import { startGateway } from 'orbweaver/gateway';

async function run() {
  const folder = await mkdtemp(join(tmpdir(), 'orbweaver-bundled-'));
  const [workerUrl] = process.argv.slice(2);
  const gateway = await startGateway({ data: join(folder, 'store'), port: 0, workers: 0 });
  const client = await createClient({ endpoint: gateway.url, token: gateway.writeToken, workers: 2, workerUrl });
  const bytes = new Uint8Array(12e6).map((_, i) => Math.imul(i, 2654435761) >>> 13);
  const { files, failed } = await client.upload({ name: 'bytes', data: bytes }, { sha256: true });
  if (failed.length > 0) throw new Error(failed[0].message);
  await client.download(files[0].fileHash, { to: join(folder, 'copy') });
  const isSame = Buffer.compare(await readFile(join(folder, 'copy')), bytes) === 0;
  await client.close();
  await gateway.close();
  await rm(folder, { recursive: true });
  console.log(isSame ? 'the same' : 'something else');
}
run().catch((error) => {
  console.log('failed:', error.code, error.message);
  process.exitCode = 1;
});
`;

/** Says that threads were started. */
const TELL_THREADS = `
const threads = require('node:worker_threads');
let isTold = false;
threads.Worker = class extends threads.Worker {
  constructor(file, options) {
    super(file, options);
    if (!isTold) process.stdout.write('threads, ');
    isTold = true;
  }
};
require('node:module').syncBuiltinESMExports();
`;

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const tools = join(root, '.cache', 'bundlers', 'tools');
const app = join(root, '.cache', 'bundlers', 'app');
const require = createRequire(join(tools, 'package.json'));
const outside = mkdtempSync(join(tmpdir(), 'orbweaver-bundlers-'));
let failures = 0;

if (install()) {
  try {
    await checkWebpack();
  } finally {
    rmSync(outside, { recursive: true, force: true });
  }
  console.log(failures === 0 ? 'bundlers: all run' : `bundlers: ${failures} failed`);
  process.exitCode = failures === 0 ? 0 : 1;
} else {
  rmSync(outside, { recursive: true, force: true });
  console.log('bundlers: skipped: the npm packages cannot be installed here');
}

async function checkWebpack() {
  const inPlace = await webpackTo(join(app, 'out'));
  expect('webpack, where the package is installed', inPlace, { threads: true });
  cpSync(join(app, 'out'), join(outside, 'moved'), { recursive: true });
  const moved = join(outside, 'moved', 'main.cjs');
  expect('webpack, moved to where the package is not', moved, { threads: false });
  cpSync(join(root, 'dist', 'workers'), join(outside, 'threads', 'workers'), { recursive: true });
  cpSync(
    join(app, 'node_modules', 'piscina'),
    join(outside, 'threads', 'node_modules', 'piscina'),
    {
      recursive: true,
      dereference: true,
    },
  );
  const workerUrl = pathToFileURL(join(outside, 'threads', 'workers/')).href;
  expect('webpack, moved, with the folder of threads', moved, { threads: true, args: [workerUrl] });
  const external = await webpackTo(join(app, 'out-external'), true);
  expect('webpack, the package external', external, { threads: true });
}

/** @returns the path of the bundle */
async function webpackTo(path, isExternal = false) {
  const webpack = require('webpack');
  rmSync(path, { recursive: true, force: true });
  const compiler = webpack({
    mode: 'production',
    target: 'node20',
    context: app,
    entry: './main.mjs',
    output: { path, filename: 'main.cjs', chunkFilename: '[id].cjs' },
    optimization: { minimize: false },
    externals: isExternal ? [/^orbweaver(\/|$)/] : [],
    externalsType: 'commonjs',
  });
  const stats = await new Promise((resolve, reject) =>
    compiler.run((error, done) => (error ? reject(error) : resolve(done))),
  );
  if (stats.hasErrors()) {
    failures++;
    console.error(stats.toString({ all: false, errors: true, colors: false }));
  }
  return join(path, 'main.cjs');
}

/** Runs a program, which says whether bytes came back, and whether threads were started. */
function expect(what, file, { threads, args = [] }) {
  const preload = join(outside, 'tell-threads.cjs');
  writeFileSync(preload, TELL_THREADS);
  const run = spawnSync(process.execPath, ['--require', preload, file, ...args], {
    cwd: outside,
    encoding: 'utf8',
    timeout: 60_000,
  });
  const said = run.stdout.trim();
  const isQuiet = run.stderr === '';
  const isRight = said === (threads ? 'threads, the same' : 'the same') && isQuiet === threads;
  if (!isRight) failures++;
  console.log(`${isRight ? 'ok' : 'FAILED'}  ${what}`);
  if (!isRight) console.log(`${said}\n${run.stderr}`.trim().replace(/^/gm, '    '));
}

/** The tools, the libraries that the package needs, and the package as it was built. False: no network. */
function install() {
  if (!installTo(tools, TOOLS) || !installTo(app, manifest.dependencies)) return false;
  const own = join(app, 'node_modules', 'orbweaver');
  rmSync(own, { recursive: true, force: true });
  mkdirSync(own);
  for (const name of ['dist', 'package.json']) {
    cpSync(join(root, name), join(own, name), { recursive: true });
  }
  writeFileSync(join(app, 'main.mjs'), PROGRAM);
  return true;
}

function installTo(folder, wanted) {
  const list = JSON.stringify(wanted);
  const note = join(folder, 'installed.json');
  if (existsSync(note) && readFileSync(note, 'utf8') === list) return true;
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{"name":"app","private":true}\n');
  const packages = Object.entries(wanted).map(([name, version]) => `${name}@${version}`);
  const flags = ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline'];
  const done = spawnSync('npm', [...flags, ...packages], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
    timeout: 180_000,
  });
  if (done.status !== 0) return false;
  writeFileSync(note, list);
  return true;
}
