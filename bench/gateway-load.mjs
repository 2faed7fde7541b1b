// A gateway under load, seen from outside: many clients that read ranges, some that upload, and connections
// that never finish a request. Says what it gave, whether an honest client met an error, the most memory
// that the process held, and whether its descriptors are back to the start.
//
//     npm run build && node bench/gateway-load.mjs [--seconds 60] [--readers 200] [--writers 50] [--half-open 200]
//
// The last line on standard output is JSON. Exits with 1 when an honest client met an error, when memory
// passed its budget, or when descriptors are left over.
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createClient } from 'orbweaver';

const MIB = 1024 * 1024;
const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    readers: { type: 'string', default: '200' },
    writers: { type: 'string', default: '50' },
    'half-open': { type: 'string', default: '200' },
    'max-memory': { type: 'string', default: '128' },
  },
});
const [seconds, readers, writers, halfOpen, maxMemoryMiB] = [
  'seconds',
  'readers',
  'writers',
  'half-open',
  'max-memory',
].map((name) => Number(values[name]));
/** Beside what requests hold: Node, the code, and garbage that nobody has collected yet. */
const BASE_MEMORY_BYTES = 256 * MIB;
const TOKEN = 'drill';

const folder = mkdtempSync(join(tmpdir(), 'orbweaver-load-'));
const main = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const child = spawn(
  process.execPath,
  [
    ...[main, 'serve', '--data', join(folder, 'store'), '--port', '0', '--json', '--quiet'],
    ...['--token', TOKEN, '--max-memory', `${maxMemoryMiB}MiB`, '--metrics-listen', '127.0.0.1:0'],
  ],
  { stdio: ['ignore', 'pipe', 'inherit'] },
);
const firstLine = await new Promise((resolve, reject) => {
  let text = '';
  child.stdout.on('data', (piece) => {
    text += piece;
    if (text.includes('\n')) resolve(text.split('\n')[0]);
  });
  child.once('close', (code) => reject(new Error(`serve ended with ${code}`)));
});
const { url, metricsUrl } = JSON.parse(firstLine);
const { port } = new URL(url);

const descriptors = () => readdirSync(`/proc/${child.pid}/fd`).length;
const residentBytes = () =>
  1024 * Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1] ?? 0);
async function metrics() {
  const text = await (await fetch(metricsUrl, { headers: { connection: 'close' } })).text();
  return (name) => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1]);
}

const errors = [];
const clients = await Promise.all(
  Array.from({ length: Math.min(5, writers) }, () =>
    createClient({ endpoint: url, token: TOKEN, workers: 0, maxMemory: 32 * MIB }),
  ),
);
const { files } = await clients[0].upload({ name: 'input', data: randomBytes(32 * MIB) });
const terms = await (
  await fetch(`${url}/v2/reconstructions/${files[0].fileHash}`, {
    headers: { authorization: `Bearer ${TOKEN}`, connection: 'close' },
  })
).json();
const fetches = Object.values(terms.xorbs).flat();
/** What may be read, with its bytes. */
const wholes = await Promise.all(
  fetches.map(async ({ url: from, ranges: [{ bytes }] }) => {
    const headers = { range: `bytes=${bytes.start}-${bytes.end}`, connection: 'close' };
    const response = await fetch(from, { headers });
    return { from, start: bytes.start, data: Buffer.from(await response.arrayBuffer()) };
  }),
);

/** Settles when nothing of ours is open there any more, as far as it takes at most `ms`. */
async function settled(most, ms) {
  const endMs = performance.now() + ms;
  while (descriptors() > most && performance.now() < endMs) {
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return descriptors();
}
const connections = async () => (await metrics())('orbweaver_open_connections');
for (const client of clients) await client.close();
while ((await connections()) > 0) await new Promise((resolve) => setTimeout(resolve, 200));
// Files that were read stay open for ten seconds.
await new Promise((resolve) => setTimeout(resolve, 11_000));
const startDescriptors = descriptors();

let peakBytes = 0;
const sampler = setInterval(() => {
  peakBytes = Math.max(peakBytes, residentBytes());
}, 100);
const endMs = performance.now() + seconds * 1000;
const agent = new http.Agent({ keepAlive: true, maxSockets: readers });
const latencies = [];
let readBytes = 0;
let uploadedBytes = 0;
let uploads = 0;

function readRange() {
  const { from, start, data } = wholes[Math.floor(Math.random() * wholes.length)];
  const length = 1 + Math.floor(Math.random() * Math.min(512 * 1024, data.length));
  const at = Math.floor(Math.random() * (data.length - length));
  const sinceMs = performance.now();
  return new Promise((resolve, reject) => {
    const headers = { range: `bytes=${start + at}-${start + at + length - 1}` };
    http
      .get(from, { agent, headers }, (response) => {
        const pieces = [];
        response.on('data', (piece) => pieces.push(piece));
        response.once('error', reject);
        response.once('end', () => {
          const got = Buffer.concat(pieces);
          if (response.statusCode !== 206) reject(new Error(`status ${response.statusCode}`));
          else if (!got.equals(data.subarray(at, at + length))) reject(new Error('other bytes'));
          else {
            latencies.push(performance.now() - sinceMs);
            readBytes += length;
            resolve();
          }
        });
      })
      .once('error', reject);
  });
}
async function repeat(what, work) {
  while (performance.now() < endMs) await work().catch((error) => errors.push(`${what}: ${error}`));
}
const uploaders = await Promise.all(
  clients.map(() => createClient({ endpoint: url, token: TOKEN, workers: 0, maxMemory: 32 * MIB })),
);
const uploadOne = async (client) => {
  const data = randomBytes(256 * 1024 + Math.floor(Math.random() * MIB));
  const { failed } = await client.upload({ name: 'upload', data });
  for (const { message } of failed) throw new Error(message);
  uploads++;
  uploadedBytes += data.length;
};
// Half of them stop in the head of a request, half in its body; the gateway may cut them.
let cut = 0;
const stuck = Array.from({ length: halfOpen }, (_, index) => {
  const socket = net.connect(Number(port), '127.0.0.1');
  const path = `/v1/xorbs/default/${'ab'.repeat(32)}`;
  const head = `POST ${path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${TOKEN}\r\n`;
  socket.write(index % 2 === 0 ? head : `${head}content-length: 1000000\r\n\r\n0123456789`);
  socket.on('error', () => undefined);
  socket.once('close', () => cut++);
  socket.resume();
  return socket;
});
await Promise.all([
  ...Array.from({ length: readers }, () => repeat('reader', readRange)),
  ...Array.from({ length: writers }, (_, index) =>
    repeat('writer', () => uploadOne(uploaders[index % uploaders.length])),
  ),
]);
clearInterval(sampler);
const cutByGateway = cut;
const after = await metrics();
for (const client of uploaders) await client.close();
agent.destroy();
for (const socket of stuck) socket.destroy();
const endDescriptors = await settled(startDescriptors, 30_000);
child.kill('SIGTERM');
const [code] = await new Promise((resolve) => child.once('close', (...end) => resolve(end)));
rmSync(folder, { recursive: true });

latencies.sort((a, b) => a - b);
const at = (share) => Math.round(10 * (latencies[Math.floor(share * latencies.length)] ?? 0)) / 10;
const budgetBytes = maxMemoryMiB * MIB + BASE_MEMORY_BYTES;
const result = {
  type: 'result',
  ...{ seconds, readers, writers, halfOpen, cutByGateway },
  reads: latencies.length,
  readMiBPerSecond: Math.round(readBytes / MIB / seconds),
  readMs: { p50: at(0.5), p99: at(0.99), max: at(0.9999999) },
  uploads,
  uploadMiBPerSecond: Math.round((10 * uploadedBytes) / MIB / seconds) / 10,
  errors: errors.length,
  firstErrors: [...new Set(errors)].slice(0, 5),
  peakMiB: Math.round(peakBytes / MIB),
  budgetMiB: budgetBytes / MIB,
  heldMiB: Math.round(after('orbweaver_memory_peak_bytes') / MIB),
  heldLimitMiB: after('orbweaver_memory_limit_bytes') / MIB,
  loopP99Ms: Math.round(1e4 * after('nodejs_eventloop_lag_p99_seconds')) / 10,
  startDescriptors,
  endDescriptors,
  exitCode: code,
  node: process.version,
  cpus: Number(execFileSync('nproc')),
};
console.log(JSON.stringify(result));
const isGood =
  errors.length === 0 &&
  peakBytes <= budgetBytes &&
  endDescriptors <= startDescriptors &&
  code === 0;
process.exitCode = isGood ? 0 : 1;
