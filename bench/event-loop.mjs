// How long can one request keep a gateway from everything else? The requests that ask most of it, one after
// another, against a gateway on disk in a process of its own whose event loop is watched.
//
//     npm run build && node bench/event-loop.mjs [--megabytes 64] [--only WORD] [--short]
//
// For each request: how long it took; the longest delay of the event loop by the histogram of Node
// (`monitorEventLoopDelay`), which grows with whatever else the machine does; and the longest stretch between
// two turns of the loop in processor time of the main thread, which does so much less (Linux). Beside them the
// same of an idle gateway, and the processor time of work that is known: sorting 50,000 numbers. `--short`
// leaves most of the entries out. The last line is JSON. Exits with 1 when a stretch took more than 50 ms.
import { fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import http, { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { loadKernels } from 'orbweaver';
import { encodeShard, fileHash, rangeHash, SHARD_MAX_BYTES, XorbBuilder } from 'orbweaver/formats';

const { values } = parseArgs({
  options: {
    only: { type: 'string', default: '' },
    megabytes: { type: 'string', default: '64' },
    short: { type: 'boolean', default: false },
  },
});
const MAX_BLOCKED_MS = 50;
const shardBytes = Math.min(SHARD_MAX_BYTES - 1024, Number(values.megabytes) * 1024 * 1024);

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'orbweaver-loop-'));
const child = fork(
  path('../dist/cli/main.js'),
  ['serve', '--data', folder, '--port', '0', '--token', 'all', '--quiet', '--json'],
  {
    execArgv: ['--import', process.env.PROBE ?? path('event-loop-probe.mjs')],
    stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
  },
);
const url = await new Promise((resolve, reject) => {
  child.stdout.once('data', (line) => resolve(JSON.parse(line).url));
  child.once('close', (code) => reject(new Error(`serve ended with ${code}`)));
});
const probe = (word) =>
  new Promise((resolve) => {
    child.once('message', resolve);
    child.send(word);
  });

const agent = new Agent({ keepAlive: true });
/** Reads the response to its end; returns its length. */
function send(method, where, body, headers = {}) {
  return new Promise((resolve, reject) => {
    const request = http.request(
      url + where,
      {
        method,
        agent,
        headers: {
          authorization: 'Bearer all',
          ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }),
          ...headers,
        },
      },
      (response) => {
        let length = 0;
        let text = '';
        response.on('data', (piece) => {
          length += piece.length;
          if (response.statusCode >= 300) text += piece;
        });
        response.once('error', reject);
        response.once('end', () =>
          response.statusCode < 300
            ? resolve(length)
            : reject(new Error(`${method} ${where}: ${response.statusCode} ${text}`)),
        );
      },
    );
    request.once('error', reject);
    request.end(body);
  });
}

const rows = [];
async function measure(what, work) {
  if (!what.includes(values.only)) return work();
  await new Promise((resolve) => setTimeout(resolve, 200));
  await probe('reset');
  const since = performance.now();
  const bytes = await work();
  const ms = Math.round(performance.now() - since);
  const seen = await probe('read');
  const row = { what, ms, bytes, ...seen };
  rows.push(row);
  const one = (n) => n.toFixed(1).padStart(7);
  console.log(
    `${what.padEnd(52)} ${String(ms).padStart(6)} ms  delay ${one(seen.delayMs)} ms, stretch ${one(seen.cpuMs)} ms`,
  );
  for (const top of seen.top ?? []) console.log(top);
}

/** Processor time, the least of five. */
function knownWorkMs() {
  let least = Number.POSITIVE_INFINITY;
  for (let run = 0; run < 5; run++) {
    const numbers = Array.from({ length: 50_000 }, (_, i) => (i * 7919) % 50_021);
    const before = process.cpuUsage();
    numbers.sort((a, b) => a - b);
    const { user, system } = process.cpuUsage(before);
    least = Math.min(least, (user + system) / 1000);
  }
  return least;
}

const { hasher, codec } = await loadKernels();

/** `count` chunks of 16 bytes each. */
function tinyChunks(seed, count) {
  const builder = new XorbBuilder({ codec, hasher });
  for (let index = 0; index < count; index++) {
    builder.add(new Uint8Array(Uint32Array.of(seed, index, 7, 9).buffer));
  }
  return builder.finish();
}
const listed = (xorb) => ({
  hash: xorb.hash,
  chunkHashes: xorb.chunkHashes,
  chunkStarts: xorb.rawEnds.map((end) => end - 16),
  chunkLengths: xorb.rawEnds.map(() => 16),
  chunkFlags: new Uint32Array(xorb.rawEnds.length),
  rawBytes: xorb.rawEnds.at(-1),
  serializedBytes: 0,
});
/** A file of runs `[xorb, start, end]`. */
function fileOf(runs) {
  const hashes = [];
  for (const [xorb, start, end] of runs)
    hashes.push(xorb.chunkHashes.subarray(32 * start, 32 * end));
  const packed = new Uint8Array(Buffer.concat(hashes));
  const proofs = new Map();
  const proof = (xorb, start, end) => {
    const key = `${xorb.hash} ${start} ${end}`;
    if (!proofs.has(key)) proofs.set(key, rangeHash(hasher, xorb.chunkHashes, start, end));
    return proofs.get(key);
  };
  return {
    hash: fileHash(hasher, packed, new Array(packed.length / 32).fill(16)),
    terms: runs.map(([xorb, start, end]) => ({
      xorb: xorb.hash,
      chunkStart: start,
      chunkEnd: end,
      unpackedBytes: 16 * (end - start),
    })),
    verification: runs.map(([xorb, start, end]) => proof(xorb, start, end)),
    sha256: null,
  };
}
const shardOf = (files, xorbs) =>
  encodeShard({ files, xorbs: xorbs.map(listed), footer: null }, { variant: 'upload' });
const put = (xorb) => send('POST', `/v1/xorbs/default/${xorb.hash}`, xorb.bytes);
const post = (body) => send('POST', '/v1/shards', body);

const RECORD = 48;
await measure('idle for a second', () => new Promise((resolve) => setTimeout(resolve, 1000)));

const base = tinyChunks(1, 8192);
await put(base);

// One file of as many terms as there are.
const termCount = Math.floor(shardBytes / (2 * RECORD)) - 8300;
const long = fileOf(Array.from({ length: termCount }, (_, i) => [base, i % 8191, (i % 8191) + 1]));
{
  const body = shardOf([long], [base]);
  await measure(`shard: one file of ${termCount} terms`, () => post(body));
  await measure('shard: the same again', () => post(body));
}
for (const [name, headers] of [
  ['plain', {}],
  ['gzip', { 'accept-encoding': 'gzip' }],
]) {
  await measure(`reconstruction: all of its terms, ${name}`, () =>
    send('GET', `/v2/reconstructions/${long.hash}`, undefined, headers),
  );
}
await measure('reconstruction: version 1, with sizes of chunks', () =>
  send('GET', `/v1/reconstructions/${long.hash}?chunk_byte_sizes=true`),
);
await measure('chunk hashes of it, 500 dirty ranges', () =>
  send('GET', `/v2/file-chunk-hashes/${long.hash}`, undefined, {
    'x-range-dirty': `bytes=${Array.from({ length: 500 }, (_, i) => `${i * 16000}-${i * 16000 + 5}`).join()}`,
  }),
);

// As many files as there are, of one term each.
{
  const count = Math.floor((shardBytes - RECORD * 8300) / (3 * RECORD));
  const files = Array.from({ length: count }, (_, i) => {
    const start = i % 8000;
    return fileOf([[base, start, start + 2 + Math.floor(i / 8000)]]);
  });
  const body = shardOf(files, [base]);
  await measure(`shard: ${count} files of one term`, () => post(body));
  await measure('shard: the same again', () => post(body));
  const chosen = Array.from({ length: 1000 }, (_, i) => files[Math.floor((i * count) / 1000)]);
  const ids = JSON.stringify(chosen.map(({ hash }) => ({ prefix: 'default', hash: String(hash) })));
  await measure('batch of 1000 files of one term', () => send('POST', '/v1/reconstructions', ids));
  await measure('question: a chunk that all of them know', () =>
    send('GET', `/v1/chunks/default-merkledb/${chunkText(base, 0)}`),
  );
}
function chunkText(xorb, chunk) {
  const bytes = Buffer.from(xorb.chunkHashes.subarray(32 * chunk, 32 * chunk + 32));
  // The protocol's order: eight bytes of each group turned around.
  for (let at = 0; at < 32; at += 8) bytes.subarray(at, at + 8).reverse();
  return bytes.toString('hex');
}

// As many listed chunks as there are.
{
  const most = Math.floor(shardBytes / (RECORD * 8193)) - 1;
  const count = values.short ? 2 : most;
  const xorbs = Array.from({ length: count }, (_, i) => tinyChunks(100 + i, 8192));
  for (const xorb of xorbs) await put(xorb);
  const files = xorbs.slice(0, 20).map((xorb) => fileOf([[xorb, 0, 8192]]));
  const body = shardOf(files, xorbs);
  await measure(`shard: ${count} xorbs of 8192 chunks`, () => post(body));
  const terms = values.short ? 20 : 1000;
  const many = Array.from({ length: 1000 }, (_, i) =>
    fileOf(
      Array.from({ length: 1 + (i % terms) }, (_, at) => [xorbs[at % count], i, i + 1 + (at % 5)]),
    ),
  );
  const smallBody = shardOf(many, []);
  await measure(`shard: 1000 files of up to ${terms} terms`, () => post(smallBody));
  const ids = JSON.stringify(many.map(({ hash }) => ({ prefix: 'default', hash: String(hash) })));
  await measure(`batch of 1000 files of up to ${terms} terms`, () =>
    send('POST', '/v1/reconstructions', ids),
  );
  await measure('question: a chunk of the large shard (16 MiB)', () =>
    send('GET', `/v1/chunks/default-merkledb/${chunkText(xorbs[0], 0)}`),
  );
  const question = JSON.stringify({
    chunks: [],
    files: many.slice(990).map(({ hash }) => String(hash)),
  });
  await measure('question: all chunks of ten files', () =>
    send('POST', '/v1/chunks/default-merkledb', question),
  );
  const chunks = Array.from({ length: 256 }, (_, i) => chunkText(xorbs[i % count], i));
  await measure('question: 256 chunks', () =>
    send('POST', '/v1/chunks/default-merkledb', JSON.stringify({ chunks, files: [] })),
  );
}

// A file of as many xorbs as somebody has patience for.
{
  const xorbs = Array.from({ length: values.short ? 100 : 4000 }, (_, i) =>
    tinyChunks(10_000 + i, 1),
  );
  for (const xorb of xorbs) await put(xorb);
  const file = fileOf(xorbs.map((xorb) => [xorb, 0, 1]));
  const body = shardOf([file], xorbs);
  await measure(`shard: ${xorbs.length} xorbs of a chunk, one file of them`, () => post(body));
  await measure(`reconstruction: ${xorbs.length} xorbs`, () =>
    send('GET', `/v2/reconstructions/${file.hash}`),
  );
  await measure(`reconstruction: ${xorbs.length} xorbs, version 1`, () =>
    send('GET', `/v1/reconstructions/${file.hash}`),
  );
}

agent.destroy();
child.kill('SIGTERM');
await new Promise((resolve) => child.once('close', resolve));
rmSync(folder, { recursive: true });
console.log(
  JSON.stringify({
    type: 'result',
    rows: rows.map(({ top: _, ...row }) => row),
    knownWorkMs: knownWorkMs(),
    node: process.version,
  }),
);
process.exitCode = rows.every(({ cpuMs }) => cpuMs <= MAX_BLOCKED_MS) ? 0 : 1;
