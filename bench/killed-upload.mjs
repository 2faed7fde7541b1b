// Question: how much is sent in all when the process of an upload is killed at a random point and the
// same command is run again?
//
// Run:      npm run build && node bench/killed-upload.mjs [MiB, default 2048] [points, default 20]
//           [folder, default that for temporary files] [seed, default 1]
// Measures: bytes from the client to the gateway, counted by a proxy between them, so that what was
//           on its way when the process died counts, too. A point is a random share of the file; when so
//           much has gone through the proxy, the process gets SIGKILL. Each point begins with an
//           empty store, cache and state folder.
// Noise:    none: bytes are counted, and the points are seeded. What is on its way at that moment differs.
// Goal:     at most 1.05 times the unique bytes and one window (--max-memory, 96 MiB) at each point, and
//           nothing that was acknowledged is taken a second time.
import { spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { createBlockMaker } from '../dist/bench/index.js';
import { startGateway } from '../dist/gateway.js';

const mebibytes = Number(process.argv[2] ?? 2048);
const points = Number(process.argv[3] ?? 20);
const folder = mkdtempSync(path.join(process.argv[4] ?? os.tmpdir(), 'orbweaver-killed-'));
const seed = Number(process.argv[5] ?? 1);
const windowBytes = 96 * 2 ** 20;
const size = mebibytes * 2 ** 20;
const cli = path.resolve(import.meta.dirname, '../dist/cli/main.js');
const token = 'bench';

/** Numbers from a seed, below 1 (mulberry32). */
function seeded(start) {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Passes connections on to `port`, and counts what goes there. */
async function countingProxy(port) {
  const counter = { bytes: 0, onBytes: () => {} };
  const server = net.createServer((client) => {
    const upstream = net.connect(port, '127.0.0.1');
    client.on('data', (piece) => {
      counter.bytes += piece.length;
      counter.onBytes(counter.bytes);
    });
    client.pipe(upstream).pipe(client);
    client.on('error', () => upstream.destroy());
    upstream.on('error', () => client.destroy());
    client.on('close', () => upstream.destroy());
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { counter, port: server.address().port, close: () => server.close() };
}

const file = path.join(folder, 'file.bin');
const descriptor = openSync(file, 'w');
const fillBlock = createBlockMaker('random', seed);
const block = new Uint8Array(2 ** 20);
for (let written = 0; written < mebibytes; written++) {
  fillBlock(block);
  writeSync(descriptor, block);
}
closeSync(descriptor);

const random = seeded(seed);
const rows = [];
try {
  for (let point = 0; point < points; point++) {
    const place = path.join(folder, `point-${point}`);
    /** How often each xorb was taken. */
    const taken = new Map();
    const gateway = await startGateway({
      ...{ data: path.join(place, 'store'), token, port: 0, sync: false },
      onAccess: ({ method, path: where, status }) => {
        if (method !== 'POST' || status !== 200 || !where.startsWith('/v1/xorbs/')) return;
        taken.set(where, (taken.get(where) ?? 0) + 1);
      },
    });
    const proxy = await countingProxy(Number(new URL(gateway.url).port));
    const run = async (killAt) => {
      const args = ['upload', file, '--endpoint', `http://127.0.0.1:${proxy.port}`, '--json'];
      const child = spawn(process.execPath, [cli, ...args], {
        stdio: ['ignore', 'pipe', 'inherit'],
        env: {
          ...process.env,
          ORBWEAVER_TOKEN: token,
          XDG_STATE_HOME: path.join(place, 'state'),
          XDG_CACHE_HOME: path.join(place, 'cache'),
        },
      });
      let out = '';
      child.stdout.on('data', (piece) => {
        out += piece;
      });
      proxy.counter.onBytes = (bytes) => {
        if (bytes >= killAt) child.kill('SIGKILL');
      };
      const status = await new Promise((resolve) => child.once('close', resolve));
      return { status, out };
    };
    const killAt = Math.floor(random() * size);
    const killed = await run(killAt);
    const before = proxy.counter.bytes;
    const again = await run(Number.POSITIVE_INFINITY);
    if (again.status !== 0) throw new Error(`the second run ended with ${again.status}`);
    const total = proxy.counter.bytes;
    const [{ sizeBytes, localBytes }] = JSON.parse(again.out).files;
    if (sizeBytes !== size) throw new Error(`expected ${size} bytes, got ${sizeBytes}`);
    const twice = [...taken.values()].filter((count) => count > 1).length;
    rows.push({
      point,
      killAt,
      before,
      localBytes,
      total,
      twice,
      wasKilled: killed.status === null,
    });
    const mib = (bytes) => (bytes / 2 ** 20).toFixed(1);
    const ratio = ((total - windowBytes) / size).toFixed(4);
    console.log(
      `${point + 1}: killed at ${mib(before)} MiB, ${mib(localBytes)} MiB of the file not sent again, ` +
        `${mib(total)} MiB in all = ${(total / size).toFixed(4)} times (${ratio} less a window), ${twice} xorbs taken twice`,
    );
    proxy.close();
    await gateway.close();
    rmSync(place, { recursive: true });
  }
} finally {
  rmSync(folder, { recursive: true });
}
const worst = Math.max(...rows.map(({ total }) => total));
const isGood = rows.every(({ total }) => total <= 1.05 * size + windowBytes);
console.log(
  `${points} points of ${mebibytes} MiB, seed ${seed}: at most ${(worst / size).toFixed(4)} times the unique bytes, ` +
    `${((worst - size) / 2 ** 20).toFixed(1)} MiB more; the goal is ${isGood ? 'met' : 'missed'}`,
);
process.exitCode = isGood ? 0 : 1;
