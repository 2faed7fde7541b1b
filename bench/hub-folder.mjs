// Question: how many requests and seconds does a folder of many files cost, beside the Python client?
//
// Run:      npm run build && nice -n 10 node bench/hub-folder.mjs HF [files, default 10000] [downloads]
//           HF: the `hf` of a virtual environment with huggingface_hub (test:interop makes
//           .cache/interop/bin/hf); "downloads": those as well
// Measures: a gateway for each client in this process, clients in processes with empty caches: upload of
//           the folder into a new repository, a second upload of it, download into an empty folder.
//           Half of the files are text of 1 KiB, which goes with the commit, half are random bytes of
//           8 KiB, which go as files of Git LFS; 100 to a folder. Requests are what the gateway was asked.
// Noise:    seconds of a machine that others use differ by a quarter; requests do not differ.
// Goal:     a handful of requests for each 1000 files of an upload, and fewer seconds than `hf`.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { startGateway } from '../dist/gateway.js';

const [hf, files = '10000', downloads] = process.argv.slice(2);
const count = Number(files);
const root = mkdtempSync(path.join(os.tmpdir(), 'orbweaver-folder-'));
const folder = path.join(root, 'in');
for (let at = 0; at < count; at++) {
  const parent = path.join(folder, `d${Math.floor(at / 100)}`);
  if (at % 100 === 0) mkdirSync(parent, { recursive: true });
  if (at % 2 === 0)
    writeFileSync(path.join(parent, `${at}.json`), `{"n":"${`${at} `.repeat(200)}"}`);
  else writeFileSync(path.join(parent, `${at}.bin`), randomBytes(8192));
}

let seen = [];
const token = 'hf_bench';
/** A store for each client: what the first one brings would be there for the second. */
const startStore = (name) =>
  startGateway({
    ...{ data: path.join(root, name), port: 0, token },
    onAccess: ({ method, path: where, durationMs }) => seen.push({ method, where, durationMs }),
  });
const gateways = { ours: await startStore('store-ours'), hf: await startStore('store-hf') };
const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

function run(name, command, args) {
  const { url } = name.startsWith('ours') ? gateways.ours : gateways.hf;
  const env = { PATH: process.env.PATH, HOME: root, HF_TOKEN: token, HF_ENDPOINT: url };
  const quiet = { HF_HUB_DISABLE_TELEMETRY: '1', HF_HUB_DISABLE_PROGRESS_BARS: '1' };
  seen = [];
  const startedAt = performance.now();
  return new Promise((resolve, reject) => {
    execFile(command, args, { env: { ...env, ...quiet } }, (error, out, err) => {
      if (error !== null) return reject(new Error(`${name}: ${out}${err}`));
      const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
      console.log(`${name.padEnd(22)} ${String(seen.length).padStart(6)} requests ${seconds} s`);
      const kinds = new Map();
      for (const { method, where, durationMs } of seen) {
        const kind = `${method} ${where.replace(/\/[0-9a-f]{40,}.*|d\d+\/.*/g, '/…')}`;
        const { times = 0, ms = 0 } = kinds.get(kind) ?? {};
        kinds.set(kind, { times: times + 1, ms: ms + durationMs });
      }
      for (const [kind, { times, ms }] of [...kinds]
        .sort((a, b) => b[1].ms - a[1].ms)
        .slice(0, 8)) {
        console.log(
          `    ${String(times).padStart(6)} ${(ms / 1000).toFixed(1).padStart(7)} s ${kind}`,
        );
      }
      resolve();
    });
  });
}

const ours = [process.execPath, [cli]];
const out = (name) => path.join(root, name);
try {
  for (const turn of ['upload', 'upload again']) {
    const place = 'hf://org/model';
    await run(`ours: ${turn}`, ours[0], [
      ...ours[1],
      'upload',
      folder,
      place,
      '--create',
      '--quiet',
    ]);
    if (hf) await run(`hf: ${turn}`, hf, ['upload', 'org/model', folder, '.']);
  }
  if (downloads !== undefined) {
    await run('ours: download', ours[0], [
      ...ours[1],
      'download',
      'hf://org/model',
      '-o',
      out('ours'),
      '--quiet',
    ]);
    if (hf) await run('hf: download', hf, ['download', 'org/model', '--local-dir', out('theirs')]);
    const total = readdirSync(out('ours'), { recursive: true, withFileTypes: true });
    console.log(`${total.filter((each) => each.isFile()).length} files came`);
  }
} finally {
  for (const gateway of Object.values(gateways)) await gateway.close();
  rmSync(root, { recursive: true, force: true });
}
