// Does a download that is killed again and again fetch anything twice? One file is stored in a gateway and
// downloaded through a proxy that counts; the process is killed (SIGKILL) when the bytes that came reach
// random points, and the same command is run again until it is done.
//
//     npm run build && node bench/kill-download.mjs [BYTES [KILLS [SEED [BYTES_PER_SECOND]]]]
//
// Prints what came in all, as a share of the file, as it is, without one window (what a process may hold of
// it: its memory, 96 MiB) and without one for each kill; and what one kill lost. That is what was sent and not
// yet written: some in slabs, most in the sockets of the system, 4 MiB and more for each connection.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream, createWriteStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const [sizeText = '2147483648', killText = '20', seedText = '1', rateText = '0'] =
  process.argv.slice(2);
/** The default of `maxMemory`. */
const WINDOW_BYTES = 96 * 1024 * 1024;
const sizeBytes = Number(sizeText);
const killCount = Number(killText);
const bytesPerSecond = Number(rateText);
const binary = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));
const folder = await mkdtemp(join(tmpdir(), 'orbweaver-kill-'));
const source = join(folder, 'source');
const target = join(folder, 'target');

/** Numbers in [0, 1), the same for the same seed. */
function dice(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

async function writeSource() {
  const next = dice(Number(seedText) + 99);
  const out = createWriteStream(source);
  const words = new Uint32Array(1 << 18);
  for (let done = 0; done < sizeBytes; ) {
    for (let i = 0; i < words.length; i++) words[i] = next() * 2 ** 32;
    const piece = Buffer.from(words.buffer.slice(0, Math.min(words.byteLength, sizeBytes - done)));
    if (!out.write(piece)) await once(out, 'drain');
    done += piece.length;
  }
  out.end();
  await once(out, 'close');
}

async function digestOf(path) {
  const hash = createHash('sha256');
  for await (const piece of createReadStream(path)) hash.update(piece);
  return hash.digest('hex');
}

function run(args, options = {}) {
  return spawn(process.execPath, [binary, ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: {
      ...process.env,
      XDG_STATE_HOME: join(folder, 'state'),
      XDG_CACHE_HOME: join(folder, 'cache'),
    },
    ...options,
  });
}

async function lineOf(child) {
  let text = '';
  for await (const piece of child.stdout) text += piece;
  return JSON.parse(text.trim().split('\n').pop());
}

await writeSource();
const gateway = run(['serve', '--data', join(folder, 'store'), '--port', '0', '--json']);
const [first] = await once(gateway.stdout, 'data');
const { url, writeToken } = JSON.parse(first.toString().split('\n')[0]);

let received = 0;
let onBytes = () => {};
let allowance = 0;
const proxy = createServer((socket) => {
  const upstream = connect(Number(new URL(url).port), '127.0.0.1');
  for (const each of [socket, upstream]) {
    each.on('error', () => {});
    each.on('close', () => {
      socket.destroy();
      upstream.destroy();
    });
  }
  socket.pipe(upstream);
  upstream.on('data', (piece) => {
    received += piece.length;
    allowance -= piece.length;
    onBytes();
    const pauseMs = bytesPerSecond > 0 && allowance < 0 ? (-1000 * allowance) / bytesPerSecond : 0;
    if (!socket.write(piece) || pauseMs > 0) {
      upstream.pause();
      if (pauseMs > 0) setTimeout(() => upstream.resume(), pauseMs);
      else socket.once('drain', () => upstream.resume());
    }
  });
});
if (bytesPerSecond > 0) {
  setInterval(() => {
    allowance = Math.min(bytesPerSecond / 50, allowance + bytesPerSecond / 100);
  }, 10).unref();
}
proxy.listen(0, '127.0.0.1');
await once(proxy, 'listening');
const endpoint = `http://127.0.0.1:${proxy.address().port}`;

const uploaded = await lineOf(
  run(['upload', source, '--endpoint', url, '--token', writeToken, '--json', '--quiet']),
);
const { fileHash } = uploaded.files[0];

const next = dice(Number(seedText));
const points = Array.from({ length: killCount }, () => next() * sizeBytes).sort((a, b) => a - b);
const begun = performance.now();
let result = null;
let kills = 0;
while (result === null) {
  const child = run([
    'download',
    fileHash,
    '-o',
    target,
    '--endpoint',
    endpoint,
    '--token',
    writeToken,
    '--json',
    '--quiet',
  ]);
  const point = points[kills] ?? Number.POSITIVE_INFINITY;
  onBytes = () => {
    if (received >= point) child.kill('SIGKILL');
  };
  const [line, [, signal]] = await Promise.all([
    lineOf(child).catch(() => null),
    once(child, 'exit'),
  ]);
  onBytes = () => {};
  if (signal === 'SIGKILL') {
    kills++;
    // What was on its way then is not counted for the next run.
    await new Promise((resolve) => setTimeout(resolve, 200));
  } else result = line;
}
const same = (await digestOf(source)) === (await digestOf(target));
console.log(
  JSON.stringify({
    sizeBytes,
    kills,
    receivedBytes: received,
    share: Number((received / sizeBytes).toFixed(4)),
    shareLessOneWindow: Number(((received - WINDOW_BYTES) / sizeBytes).toFixed(4)),
    shareLessWindows: Number(((received - kills * WINDOW_BYTES) / sizeBytes).toFixed(4)),
    lostPerKillBytes: kills === 0 ? 0 : Math.round((received - sizeBytes) / kills),
    lastResumedBytes: result.resumedBytes,
    seconds: Math.round((performance.now() - begun) / 1000),
    same,
  }),
);
gateway.kill();
proxy.close();
await rm(folder, { recursive: true });
process.exit(same && kills === killCount ? 0 : 1);
