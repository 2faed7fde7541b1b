// What does checking cost an uploader? The stock hf_xet uploads to a gateway, which decodes and hashes every
// chunk and flushes every xorb before it acknowledges it; beside it, in the same run, the same to servers that
// check nothing: one that writes bodies to files, one that drops them, and any other (`--peer`, such as
// `local_cas_server` of the crate xet-client, built with its feature "simulation").
//
//     npm run build && node bench/ingest.mjs [--rounds 3] [--random-mib 256] [--binary-mib 100] [--peer URL]
//
// It takes the Python of `$ORBWEAVER_BENCH_PYTHON` or of `.cache/interop` (`npm run test:interop` makes that one),
// with hf_xet. Every run is a new process with an empty cache and, but for a peer, a server with an empty store;
// the order turns around in each round. All files are in a folder below `$TMPDIR`: a flush costs what it costs
// there, nothing where that is memory. Wall time of the upload in the process, medians; the last line is JSON.
import { fork, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createSinkServer } from 'orbweaver/bench';

if (process.argv[2] === '--sink') {
  const { url } = await createSinkServer({ keepDir: process.argv[3] });
  process.send(url);
  process.on('disconnect', () => process.exit());
} else await main();

async function main() {
  const { values } = parseArgs({
    options: {
      rounds: { type: 'string', default: '3' },
      'random-mib': { type: 'string', default: '256' },
      'binary-mib': { type: 'string', default: '100' },
      peer: { type: 'string' },
    },
  });
  const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
  const python = process.env.ORBWEAVER_BENCH_PYTHON ?? path('../.cache/interop/bin/python');
  if (!existsSync(python)) throw new Error('no Python with hf_xet: npm run test:interop makes one');
  const folder = mkdtempSync(join(tmpdir(), 'orbweaver-ingest-'));
  const MIB = 1024 * 1024;
  const inputs = [
    ['random', randomBytes(Number(values['random-mib']) * MIB)],
    ['binary', binary(Number(values['binary-mib']) * MIB)],
  ].map(([name, bytes]) => {
    const file = join(folder, name);
    writeFileSync(file, bytes);
    return {
      name,
      file,
      mib: bytes.length / MIB,
      sha256: createHash('sha256').update(bytes).digest('hex'),
    };
  });

  /** The running executable, and bytes of it again at another place: compressible as programs are. */
  function binary(length) {
    const out = Buffer.alloc(length);
    const fd = openSync(process.execPath, 'r');
    for (let at = 0; at < length; ) at += readSync(fd, out, at, length - at, at % (90 * MIB));
    return out;
  }

  async function gateway(data) {
    const child = spawn(
      process.execPath,
      [
        path('../dist/cli/main.js'),
        'serve',
        '--data',
        data,
        '--port',
        '0',
        '--token',
        'all',
        '--quiet',
        '--json',
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    const url = await new Promise((resolve, reject) => {
      child.stdout.once('data', (line) => resolve(JSON.parse(line).url));
      child.once('close', (code) => reject(new Error(`serve ended with ${code}`)));
    });
    return { url, child };
  }
  async function sink(keepDir) {
    const child = fork(fileURLToPath(import.meta.url), [
      '--sink',
      ...(keepDir === undefined ? [] : [keepDir]),
    ]);
    const url = await new Promise((resolve) => child.once('message', resolve));
    return { url, child };
  }
  const servers = {
    gateway,
    'sink that writes': sink,
    'sink that drops': () => sink(),
    ...(values.peer !== undefined && { peer: async () => ({ url: values.peer, child: null }) }),
  };

  const SCRIPT = `
import hf_xet, sys, time
url, path, sha = sys.argv[1:]
begun = time.time()
commit = hf_xet.XetSession().new_upload_commit(
    endpoint=url, token="all", token_expiry_unix_secs=int(begun) + 36000)
handle = commit.start_upload_file(path, sha256=sha)
commit.wait_to_finish()
print(handle.result().xet_info.hash, time.time() - begun)
`;
  const cpuSeconds = (pid) => {
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return (Number(fields[11]) + Number(fields[12])) / 100;
  };

  async function run(server, { file, sha256 }) {
    const home = mkdtempSync(join(folder, 'home-'));
    const data = mkdtempSync(join(folder, 'store-'));
    mkdirSync(data, { recursive: true });
    const { url, child } = await servers[server](data);
    const env = {
      ...process.env,
      HF_HOME: home,
      HF_XET_CACHE: join(home, 'xet'),
      HF_HUB_DISABLE_TELEMETRY: '1',
    };
    const before = child === null ? 0 : cpuSeconds(child.pid);
    const client = spawn(python, ['-c', SCRIPT, url, file, sha256], {
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let text = '';
    client.stdout.on('data', (piece) => (text += piece));
    const code = await new Promise((resolve) => client.once('close', resolve));
    const cpu = child === null ? null : cpuSeconds(child.pid) - before;
    if (child !== null) {
      child.kill('SIGTERM');
      await new Promise((resolve) => child.once('close', resolve));
    }
    for (const used of [home, data]) rmSync(used, { recursive: true, force: true });
    if (code !== 0) throw new Error(`hf_xet to ${server} ended with ${code}`);
    const [hash, seconds] = text.trim().split(' ');
    return { hash, seconds: Number(seconds), cpu };
  }

  const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1];
  const rows = [];
  try {
    for (const input of inputs) {
      const runs = Object.fromEntries(Object.keys(servers).map((name) => [name, []]));
      for (let round = 0; round < Number(values.rounds); round++) {
        const order = Object.keys(servers);
        for (const server of round % 2 === 0 ? order : order.reverse()) {
          runs[server].push(await run(server, input));
        }
      }
      const hashes = new Set(
        Object.values(runs)
          .flat()
          .map(({ hash }) => hash),
      );
      if (hashes.size !== 1) throw new Error(`other hashes: ${[...hashes]}`);
      for (const [server, list] of Object.entries(runs)) {
        const seconds = median(list.map((one) => one.seconds));
        const cpu = list[0].cpu === null ? null : median(list.map((one) => one.cpu));
        rows.push({
          input: input.name,
          mib: input.mib,
          server,
          seconds,
          cpu,
          all: list.map((one) => one.seconds),
        });
        console.log(
          `${input.name.padEnd(7)} ${String(input.mib).padStart(4)} MiB  ${server.padEnd(17)} ${seconds.toFixed(2).padStart(6)} s  ` +
            `server CPU ${cpu === null ? '?' : cpu.toFixed(2)} s  (${list.map((one) => one.seconds.toFixed(2)).join(' ')})`,
        );
      }
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  const machine = {
    cpu: cpus()[0]?.model,
    cores: availableParallelism(),
    load: loadavg()[0],
    node: process.version,
  };
  console.log(JSON.stringify({ type: 'result', rows, ...machine }));
}
