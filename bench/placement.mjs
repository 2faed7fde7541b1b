// Question: what does the placement of chunks cost and save? For pairs of files that share data:
// how much is stored for the second one beside what is new in it, and how long does it take to read
// it back beside the same file stored alone, with orbweaver and with the native client?
//
// Run:      npm run build && node bench/placement.mjs [--rounds 7] [--pairs rows,rows-head,inserts,inserts-head,release,twice,edited]
//             [--policies balanced,store-least,read-fast,reference] [--gaps 0,65536,262144]
//             [--networks loopback,20ms-1000mbit] [--patience SECONDS] [--folder DIR] [--json FILE]
//           The native client takes part when ORBWEAVER_BENCH_PYTHON (or .cache/interop/bin/python)
//           is a Python that can import hf_xet; the pair `release` needs a Python with pip.
// Compare:  each upload and each read is a process of its own, as are the gateways (one per way of
//           storing). Reads of one pair take turns, in reversed order every other round. Time is what
//           the reader's process measures around the download, without its own start. Read the
//           ratio: the median over the rounds of (this way / stored alone) within a round.
//           CPU is that of the reader's process and of the gateway's during the read; its ratio counts
//           both together and holds on a busy machine, where time does not.
// Noise:    on an idle 2-core machine ratios of reads above 100 ms repeat within 5 %.
// Goal:     "balanced" stores at most 1.1 times what is new and reads at most 1.15 times as long.
//
// Versions are uploaded one after the other by clients that remember what they stored (a shard
// cache), as on one machine; "elsewhere" is a client without, which only has the gateway to ask;
// "base" is one without that is told of the first version by a local copy, "base hash" by its hash.
// "New" is counted without the code under test: chunks of the second file that the first one does
// not have (for pairs in one session: distinct chunks of both), as records of a xorb, one by one.
// --gaps replaces the gap that gateways read over; --networks puts a model of a link between reader
// and gateway (half the round trip each way, one more to connect, one bandwidth for all streams, and
// no more than 4 MiB of one stream on its way).
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import os from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median } from '../dist/bench/index.js';
import { newBytes, PAIRS } from './placement/pairs.mjs';

const HERE = dirname(fileURLToPath(import.meta.url));
const ROLE = join(HERE, 'placement', 'role.mjs');
const TOKEN = 'bench';

const NATIVE_READER = `
import json, resource, sys, time, hf_xet
def cpu():
    u = resource.getrusage(resource.RUSAGE_SELF)
    return u.ru_utime + u.ru_stime
r = json.load(sys.stdin)
s = hf_xet.XetSession()
t, c = time.perf_counter(), cpu()
g = s.new_file_download_group(endpoint=r["endpoint"], token=r["token"],
                              token_expiry_unix_secs=int(time.time()) + 3600)
g.start_download_file(hf_xet.XetFileInfo(r["hash"], r["sizeBytes"]), r["to"])
g.wait_to_finish()
print(json.dumps({"wallMs": (time.perf_counter() - t) * 1000, "cpuMs": (cpu() - c) * 1000}))
`;

async function startServer(role, request) {
  const child = spawn(process.execPath, [ROLE, role], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  child.stdin.write(`${JSON.stringify(request)}\n`);
  const line = await lines.next();
  if (line.done) throw new Error(`the ${role} did not start`);
  const ended = new Promise((resolve) => child.once('close', resolve));
  return {
    ...JSON.parse(line.value),
    /** Milliseconds of processor time so far. */
    async cpuMs() {
      child.stdin.write('cpu\n');
      return Number((await lines.next()).value);
    },
    async stop() {
      child.stdin.end();
      await ended;
    },
  };
}

async function runChild(command, args, request, env = {}) {
  const child = spawn(command, args, {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, ...env },
  });
  child.stdin.end(JSON.stringify(request));
  const [said, code] = await Promise.all([
    text(child.stdout),
    new Promise((resolve) => child.once('close', resolve)),
  ]);
  if (code !== 0) throw new Error(`${command} ${args[1] ?? ''} ended with ${code}`);
  return JSON.parse(said.trimEnd().split('\n').pop());
}

const runOwn = (role, request) => runChild(process.execPath, [ROLE, role], request);

/** What a reader is told to fetch. */
async function fetchPlan(url, hash) {
  const answer = await fetch(`${url}/v2/reconstructions/${hash}`, {
    headers: { authorization: `Bearer ${TOKEN}` },
  });
  const { terms, xorbs } = await answer.json();
  const ranges = Object.values(xorbs).flatMap((entries) => entries.flatMap((e) => e.ranges));
  const bytes = ranges.reduce((sum, { bytes: { start, end } }) => sum + end - start + 1, 0);
  return { terms: terms.length, ranges: ranges.length, bytes };
}

async function folderBytes(folder) {
  let bytes = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile())
      bytes += (await stat(join(entry.parentPath ?? entry.path, entry.name))).size;
  }
  return bytes;
}

/** One way of storing a pair: uploads, then reports what the second file cost. */
async function store(way, pair, folder) {
  const data = join(folder, `store-${way.name}`);
  await mkdir(data, { recursive: true });
  const gateway = await startServer('gateway', { data, gapBytes: null });
  const shardCacheDir = way.forgets ? undefined : join(folder, `cache-${way.name}`);
  const send = (paths, order = 'files', base = undefined) =>
    runOwn('upload', {
      endpoint: gateway.url,
      placement: way.placement,
      paths,
      order,
      shardCacheDir,
      base,
    });
  try {
    let sent;
    let before = 0;
    if (way.alone) sent = await send([pair.second]);
    else if (way.order !== undefined) {
      const paths =
        way.order === 'second first' ? [pair.second, pair.first] : [pair.first, pair.second];
      sent = await send(paths, way.order === 'in turns' ? 'turns' : 'sequence');
    } else {
      const { files } = await send([pair.first]);
      before = await folderBytes(join(data, 'xorbs'));
      const base = { copy: pair.first, hash: files[0].fileHash }[way.base];
      sent = await send([pair.second], 'files', base);
    }
    const file = sent.files.find(({ path }) => path === pair.second);
    const storedBytes = (await folderBytes(join(data, 'xorbs'))) - before;
    return { ...way, data, hash: file.fileHash, sizeBytes: file.sizeBytes, storedBytes };
  } finally {
    await gateway.stop();
  }
}

function waysOf(pair, policies) {
  const alone = { name: 'alone', placement: 'balanced', alone: true };
  if (!pair.session) {
    const asking = { name: 'balanced, elsewhere', placement: 'balanced', forgets: true };
    const told = [
      { ...asking, name: 'balanced, base', base: 'copy' },
      { ...asking, name: 'balanced, base hash', base: 'hash' },
    ];
    return [alone, ...policies.map((name) => ({ name, placement: name })), asking, ...told];
  }
  const orders = ['first first', 'second first', 'in turns'];
  return [alone, ...orders.map((order) => ({ name: order, placement: 'balanced', order }))];
}

async function measure(name, settings) {
  const pair = PAIRS[name];
  const files = await pair.make(settings.folder, settings.python);
  if (files.skipped) {
    console.log(`\n${name}: skipped: ${files.skipped}`);
    return { name, skipped: files.skipped };
  }
  const fresh = pair.session
    ? await newBytes([files.first, files.second], [])
    : await newBytes([files.second], [files.first]);
  const { size } = await stat(files.second);
  console.log(
    `\n${name}: ${pair.title}; ${mb(size)} MB, new: ${fresh.chunkCount} chunks, ` +
      `${mb(fresh.rawBytes)} MB, as records ${mb(fresh.recordBytes)} MB`,
  );
  const folder = await mkdtemp(join(settings.folder, `${name}-`));
  const rows = [];
  const running = [];
  try {
    const contenders = [];
    for (const way of waysOf(pair, settings.policies)) {
      const stored = await store(way, files, folder);
      // Stored alone there is hardly a gap to read over.
      for (const gapBytes of way.alone ? [null] : settings.gaps) {
        const gateway = await startServer('gateway', { data: stored.data, gapBytes });
        running.push(gateway);
        const plan = await fetchPlan(gateway.url, stored.hash);
        for (const network of settings.networks) {
          let { url } = gateway;
          if (network !== 'loopback') {
            const [, rttMs, mbit] = /^(\d+)ms-(\d+)mbit$/.exec(network);
            const link = await startServer('network', { url, rttMs: +rttMs, mbit: +mbit });
            running.push(link);
            url = link.url;
          }
          for (const reader of settings.readers) {
            const measured = { times: [], readerCpu: [], gatewayCpu: [] };
            contenders.push({
              ...stored,
              gapBytes,
              network,
              plan,
              url,
              reader,
              gateway,
              ...measured,
            });
          }
        }
      }
    }
    for (let round = 0; round < settings.rounds; round++) {
      for (const each of round % 2 === 0 ? contenders : [...contenders].reverse()) {
        await quiet(settings.patienceMs);
        const before = await each.gateway.cpuMs();
        const { wallMs, cpuMs } = await readOnce(each, folder, settings);
        each.times.push(wallMs);
        each.readerCpu.push(cpuMs);
        each.gatewayCpu.push((await each.gateway.cpuMs()) - before);
      }
    }
    for (const each of contenders) {
      const base = contenders.find(
        (other) =>
          other.name === 'alone' && other.reader === each.reader && other.network === each.network,
      );
      rows.push({
        way: each.name,
        reader: each.reader,
        network: each.network,
        gapBytes: each.gapBytes,
        storedBytes: each.storedBytes,
        storedRatio: each.storedBytes / fresh.recordBytes,
        ...each.plan,
        wallMs: median(each.times),
        readRatio: median(each.times.map((time, i) => time / base.times[i])),
        readerCpuMs: median(each.readerCpu),
        gatewayCpuMs: median(each.gatewayCpu),
        cpuRatio: median(each.readerCpu.map((_, i) => cpuOf(each, i) / cpuOf(base, i))),
      });
    }
  } finally {
    for (const server of running.reverse()) await server.stop();
    await rm(folder, { recursive: true, force: true });
  }
  printRows(rows, settings);
  return { name, sizeBytes: size, new: fresh, rows };
}

/** Waits until others leave the processors alone, but not for ever. */
async function quiet(patienceMs) {
  const busy = () => {
    const all = os.cpus().map(({ times }) => times);
    return all.reduce((sum, { user, nice, sys, irq }) => sum + user + nice + sys + irq, 0);
  };
  for (const start = performance.now(); performance.now() - start < patienceMs; ) {
    const before = busy();
    await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
    if (busy() - before < QUIET_MS * 0.15) return;
  }
}

const QUIET_MS = 300;

const cpuOf = ({ readerCpu, gatewayCpu }, round) => readerCpu[round] + gatewayCpu[round];

async function readOnce({ reader, url, hash, sizeBytes }, folder, { python }) {
  const to = join(folder, 'out');
  const home = join(folder, 'home');
  try {
    const request = { endpoint: url, token: TOKEN, hash, sizeBytes, to };
    const result =
      reader === 'orbweaver'
        ? await runOwn('read', request)
        : await runChild(python, ['-c', NATIVE_READER], request, {
            HF_HOME: home,
            HF_XET_CACHE: join(home, 'xet'),
            HF_HUB_DISABLE_TELEMETRY: '1',
          });
    if ((await stat(to)).size !== sizeBytes) throw new Error(`${reader} wrote a wrong file`);
    return result;
  } finally {
    await rm(to, { force: true });
    await rm(home, { recursive: true, force: true });
  }
}

function printRows(rows, { gaps, networks }) {
  const shown = [];
  for (const row of rows) {
    const key = JSON.stringify([row.way, row.gapBytes]);
    let line = shown.find((each) => each.key === key);
    if (line === undefined) {
      line = {
        key,
        stored: row.way,
        ...(gaps.length > 1 ? { gap: row.gapBytes } : {}),
        'MB stored': mb(row.storedBytes),
        '/ new': row.way === 'alone' ? '' : row.storedRatio.toFixed(2),
        terms: row.terms,
        ranges: row.ranges,
        'MB read': mb(row.bytes),
      };
      shown.push(line);
    }
    const label = networks.length > 1 ? `${row.reader} ${row.network}` : row.reader;
    line[`${label} ms`] = Math.round(row.wallMs);
    line[`${label} ×`] = row.readRatio.toFixed(2);
    line[`${label} CPU`] = Math.round(row.readerCpuMs);
    line[`${label} gw CPU`] = Math.round(row.gatewayCpuMs);
    line[`${label} CPU ×`] = row.cpuRatio.toFixed(2);
  }
  console.table(shown.map(({ key: _, ...line }) => line));
}

const mb = (bytes) => (bytes / 1e6).toFixed(1);

/** A Python that can import the native client. */
function findPython() {
  const local = join(HERE, '..', '.cache', 'interop', 'bin', 'python');
  const python = process.env.ORBWEAVER_BENCH_PYTHON ?? (existsSync(local) ? local : null);
  if (python === null) return { python: null, reason: 'no Python: set ORBWEAVER_BENCH_PYTHON' };
  const { status } = spawnSync(python, ['-c', 'import hf_xet']);
  return { python, reason: status === 0 ? null : `${python} cannot import hf_xet` };
}

async function main(values) {
  const { python, reason } = findPython();
  if (reason !== null) console.log(`native client: skipped: ${reason}`);
  const parent = values.folder ?? (existsSync('/dev/shm') ? '/dev/shm' : os.tmpdir());
  const folder = await mkdtemp(join(parent, 'orbweaver-placement-'));
  const settings = {
    folder,
    python,
    rounds: Number(values.rounds),
    patienceMs: Number(values.patience) * 1000,
    policies: values.policies.split(','),
    gaps: values.gaps === undefined ? [null] : values.gaps.split(',').map(Number),
    networks: values.networks.split(','),
    readers: reason === null ? ['orbweaver', 'hf_xet'] : ['orbweaver'],
  };
  console.log(
    `${os.cpus()[0]?.model}, ${os.cpus().length} cores, Node ${process.version}, ${folder}`,
  );
  try {
    const reports = [];
    for (const name of values.pairs.split(',')) reports.push(await measure(name, settings));
    if (values.json !== undefined) await writeFile(values.json, JSON.stringify(reports, null, 1));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    pairs: { type: 'string', default: 'rows,rows-head,inserts,inserts-head,release,twice,edited' },
    policies: { type: 'string', default: 'balanced,store-least,read-fast,reference' },
    gaps: { type: 'string' },
    networks: { type: 'string', default: 'loopback' },
    patience: { type: 'string', default: '0' },
    folder: { type: 'string' },
    json: { type: 'string' },
  },
});
await main(values);
