// How fast, and in how much memory, does a large file go to a multipart server, beside `curl` that
// sends the same parts one after another and three at once? One run, one server process, seeded data;
// the order is turned round in each round. Differences below 15 % are noise on a shared machine.
//
//   npm run -s build && node bench/target-multipart.mjs [--bytes 1073741824] [--rounds 2] [--generation g2]
import { execFileSync, spawn } from 'node:child_process';
import { createCipheriv } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    bytes: { type: 'string', default: String(1024 ** 3) },
    rounds: { type: 'string', default: '2' },
    generation: { type: 'string', default: 'g2' },
  },
});
const sizeBytes = Number(values.bytes);
const chunkBytes = 5 * 1024 ** 2;
const cli = join(dirname(fileURLToPath(import.meta.url)), '..', 'dist', 'cli', 'main.js');
const folder = mkdtempSync(join(tmpdir(), 'orbweaver-bench-target-'));
const file = join(folder, 'input.bin');

/** Data that no proxy or disk can shorten: an AES-CTR stream of a fixed key. */
function writeInput() {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16));
  const zeros = Buffer.alloc(4 * 1024 ** 2);
  const fd = openSync(file, 'w');
  for (let left = sizeBytes; left > 0; left -= zeros.length) {
    writeSync(fd, cipher.update(zeros.subarray(0, Math.min(left, zeros.length))));
  }
  closeSync(fd);
}

/** Runs a program; wall time, processor time and the most memory that it held. */
async function measured(command, args, env = {}) {
  const startedAt = performance.now();
  const child = spawn(command, args, {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.on('data', (piece) => {
    out += piece;
  });
  let peakKiB = 0;
  const timer = setInterval(() => {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      peakKiB = Math.max(peakKiB, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0));
    } catch {
      // It has ended.
    }
  }, 50);
  const status = await new Promise((resolve) => child.once('close', resolve));
  clearInterval(timer);
  if (status !== 0) throw new Error(`${command} ended with ${status}: ${out.slice(-500)}`);
  return { out, ms: performance.now() - startedAt, peakMiB: Math.round(peakKiB / 1024) };
}

const server = spawn(
  process.execPath,
  [cli, 'target-server', 'multipart', '--generation', values.generation, '--json'],
  {
    stdio: ['ignore', 'pipe', 'inherit'],
  },
);
const { url, to, token } = await new Promise((resolve) => {
  server.stdout.once('data', (line) => resolve(JSON.parse(String(line))));
});

async function orbweaver(settings) {
  const sets = Object.entries(settings).flatMap(([name, value]) => ['--set', `${name}=${value}`]);
  const args = [cli, 'upload', file, '--to', to, '--token', token, '--json', ...sets];
  const run = await measured(process.execPath, [...args, '--state-dir', join(folder, 'state')]);
  const { target } = JSON.parse(run.out).files[0];
  if (target.state !== 'done' || !target.verified) throw new Error(`not verified: ${run.out}`);
  return run;
}

/** One curl process for all parts, as `xargs -P` would do it with one connection each. */
async function curl(parallel) {
  const auth = { authorization: `Bearer ${token}`, 'content-type': 'application/json' };
  const body = JSON.stringify({
    hash: `${Math.random()}`.padEnd(64, '0'),
    file_name: 'input.bin',
    file_size: sizeBytes,
    content_type: 'application/octet-stream',
    chunk_size: chunkBytes,
  });
  const base = `${url}/api/files/upload`;
  const created = await (
    await fetch(`${base}/create`, { method: 'POST', headers: auth, body })
  ).json();
  const script = `
    set -e
    send() {
      dd if="$FILE" bs=${chunkBytes} skip="$1" count=1 status=none |
        curl -sf -H "Authorization: Bearer $TOKEN" -F 'chunk=@-;filename=chunk' "$BASE/chunk/$TASK/$1" >/dev/null
    }
    export -f send
    seq 0 ${created.chunks_count - 1} | xargs -P ${parallel} -I{} bash -ec 'send {}'
    curl -sf -X POST -H "Authorization: Bearer $TOKEN" "$BASE/complete/$TASK" >/dev/null`;
  return measured('bash', ['-c', script], {
    FILE: file,
    TOKEN: token,
    BASE: base,
    TASK: created.task_id,
  });
}

const variants = {
  'orbweaver, dedup off (one pass)': () => orbweaver({ dedup: 'false' }),
  'orbweaver, digests first (two passes)': () => orbweaver({}),
  'curl, one part after another': () => curl(1),
  'curl, three parts at once': () => curl(3),
};

try {
  writeInput();
  const curlVersion = execFileSync('curl', ['--version'], { encoding: 'utf8' }).split('\n')[0];
  console.log(
    `${sizeBytes} bytes in chunks of ${chunkBytes}, server ${values.generation}, ` +
      `Node ${process.version}, ${cpus()[0]?.model} x${cpus().length}, ${curlVersion}`,
  );
  const rows = Object.fromEntries(Object.keys(variants).map((name) => [name, []]));
  for (let round = 0; round < Number(values.rounds); round++) {
    const names = Object.keys(variants);
    for (const name of round % 2 === 0 ? names : names.reverse())
      rows[name].push(await variants[name]());
  }
  for (const [name, runs] of Object.entries(rows)) {
    const sorted = runs.map(({ ms }) => ms).sort((a, b) => a - b);
    const medianMs = sorted[Math.floor(sorted.length / 2)];
    const rate = Math.round(sizeBytes / 1e6 / (medianMs / 1000));
    const peak = name.startsWith('curl')
      ? ''
      : `, peak ${Math.max(...runs.map((run) => run.peakMiB))} MiB`;
    const raw = runs.map(({ ms }) => (ms / 1000).toFixed(2)).join(' ');
    console.log(`${name.padEnd(40)} ${String(rate).padStart(5)} MB/s  (${raw} s)${peak}`);
  }
} finally {
  server.kill('SIGTERM');
  await new Promise((resolve) => server.once('close', resolve));
  rmSync(folder, { recursive: true, force: true });
}
