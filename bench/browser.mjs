// How fast does a file go up from a page and come back, and what does the page take for it? Chromium against
// `orbweaver serve` in a process of its own; with --hub, `@huggingface/hub` in the same page in turns.
//
//     node bench/browser.mjs [--size 1024] [--rounds 1] [--plain] [--hub DIR] [--only upload] [--live]
//                            [--memory MiB]
//
// --size MiB of seeded bytes, half of them random, half numbers that compress; --plain: without the headers of
// isolation; --hub: the folder of an installed @huggingface/hub, which is bundled by esbuild. The file is one of
// the disk that the page is given as a user would. The download goes into a file of the page's own storage, is
// compared with the original byte by byte, and is not timed while it is. Memory: the largest of 10 looks a second
// at the heap of the page, buffers included, and at the memory of its process, workers included; --live: once a
// second, after the collector has run, so that what nobody uses any more does not count. The data, the store and the
// profile of the browser lie in TMPDIR, and take three to four times --size.
import { spawn } from 'node:child_process';
import { createCipheriv } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';
import { openChromium } from './chromium.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '1024' },
    rounds: { type: 'string', default: '1' },
    plain: { type: 'boolean', default: false },
    hub: { type: 'string' },
    only: { type: 'string' },
    memory: { type: 'string' },
    live: { type: 'boolean', default: false },
  },
});
const MIB = 1024 * 1024;
const sizeBytes = Number(values.size) * MIB;
const work = mkdtempSync(join(tmpdir(), 'orbweaver-bench-browser-'));

/** Random bytes by AES in counter mode, and every other MiB 32-bit numbers of a small range. */
async function makeFile(path, seed) {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, seed), Buffer.alloc(16));
  const file = await open(path, 'w');
  const zeros = Buffer.alloc(MIB);
  for (let at = 0; at < sizeBytes; at += MIB) {
    const bytes = cipher.update(zeros);
    if ((at / MIB) % 2 === 1) for (let i = 0; i < MIB; i++) if (i % 4 > 1) bytes[i] = 0;
    await file.write(bytes);
  }
  await file.close();
}

async function serveFiles() {
  const files = new Map();
  for (const name of readdirSync(join(root, 'dist'))) {
    if (/^browser.*\.js$/.test(name)) files.set(`/${name}`, readFileSync(join(root, 'dist', name)));
  }
  let hub = '';
  if (values.hub !== undefined) {
    const { outputFiles } = await build({
      entryPoints: [join(values.hub, 'dist/browser/index.mjs')],
      ...{ bundle: true, format: 'esm', platform: 'browser', write: false, minify: true },
      logLevel: 'error',
    });
    files.set('/hub.js', outputFiles[0].contents);
    hub = "import * as hub from '/hub.js'; globalThis.hub = hub;";
  }
  files.set(
    '/',
    `<!doctype html><input type="file"><script type="module">import * as orbweaver from '/browser.js'; ${hub}
    globalThis.orbweaver = orbweaver;</script>`,
  );
  const server = createServer(({ url }, response) => {
    response.setHeader('content-type', url === '/' ? 'text/html' : 'text/javascript');
    if (!values.plain) {
      response.setHeader('cross-origin-opener-policy', 'same-origin');
      response.setHeader('cross-origin-embedder-policy', 'require-corp');
    }
    response.statusCode = files.has(url) ? 200 : 404;
    response.end(files.get(url));
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

/** `orbweaver serve`, with tokens of its own. */
function startStore(folder) {
  const args = ['serve', '--data', folder, '--port', '0', '--cors', '*', '--no-grants'];
  const child = spawn(process.execPath, [join(root, 'dist/cli/main.js'), ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return new Promise((resolve) => {
    let said = '';
    child.stdout.on('data', (bytes) => {
      said += bytes;
      const endpoint = /http:\/\/[\d.]+:\d+/.exec(said)?.[0];
      const token = /write token\S*\s+(\S+)/i.exec(said)?.[1];
      if (endpoint !== undefined && token !== undefined) {
        child.stdout.removeAllListeners('data').resume();
        resolve({ endpoint, token, pid: child.pid, stop: () => child.kill('SIGTERM') });
      }
    });
  });
}

/** Seconds of a process, with its threads. */
function cpuOf(pid) {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const [user, system] = text
    .slice(text.lastIndexOf(')') + 2)
    .split(' ')
    .slice(11, 13);
  return (Number(user) + Number(system)) / 100;
}

/** The largest of what is seen until it is stopped, MiB. */
async function watchMemory(page) {
  const { processInfo } = await page.askBrowser('SystemInfo.getProcessInfo');
  const renderers = processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => id);
  const most = { heapMiB: 0, processMiB: 0 };
  const look = async () => {
    if (values.live) await page.ask('HeapProfiler.collectGarbage');
    const { usedSize, backingStorageSize = 0 } = await page.ask('Runtime.getHeapUsage');
    most.heapMiB = Math.max(most.heapMiB, Math.round((usedSize + backingStorageSize) / MIB));
    for (const id of renderers) {
      const text = readFileSync(`/proc/${id}/status`, 'utf8');
      const anonymous = Number(/^RssAnon:\s+(\d+)/m.exec(text)?.[1] ?? 0);
      const shared = Number(/^RssShmem:\s+(\d+)/m.exec(text)?.[1] ?? 0);
      most.processMiB = Math.max(most.processMiB, Math.round((anonymous + shared) / 1024));
    }
  };
  const timer = setInterval(() => look().catch(() => {}), values.live ? 1000 : 100);
  return () => {
    clearInterval(timer);
    return most;
  };
}

// What follows runs in the page.

async function upload({ endpoint, token, memory }) {
  const [file] = document.querySelector('input').files;
  globalThis.client = await orbweaver.createClient({
    ...{ endpoint, token, ...(memory === undefined ? {} : { maxMemory: memory }) },
  });
  const started = performance.now();
  const { files, failed, xorbBytes } = await client.upload(file);
  const ms = performance.now() - started;
  if (failed.length > 0) throw new Error(failed[0].message);
  globalThis.fileHash = files[0].fileHash;
  return {
    ms,
    sent: `${xorbBytes} bytes sent`,
    memory: client.sharedMemory ? 'shared memory' : 'transferred',
  };
}

async function intoFile() {
  const folder = await navigator.storage.getDirectory();
  const handle = await folder.getFileHandle('copy', { create: true });
  const { wallMs: ms } = await client.download(fileHash, { to: handle });
  return { ms };
}

async function asStream() {
  const started = performance.now();
  await client.stream(fileHash).pipeTo(new WritableStream({ write() {} }));
  return { ms: performance.now() - started };
}

/** Runs in the page: the copy against the original, 4 MiB at a time. */
async function compare() {
  const started = performance.now();
  const [file] = document.querySelector('input').files;
  const folder = await navigator.storage.getDirectory();
  const copy = await (await folder.getFileHandle('copy')).getFile();
  if (copy.size !== file.size) throw new Error('other size');
  for (let at = 0; at < file.size; at += 4 << 20) {
    const [a, b] = await Promise.all(
      [file, copy].map(
        async (blob) => new BigUint64Array(await blob.slice(at, at + (4 << 20)).arrayBuffer()),
      ),
    );
    for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) throw new Error('other bytes');
  }
  await folder.removeEntry('copy');
  return { ms: performance.now() - started, same: 'same bytes' };
}

async function theirUpload({ endpoint, token, name }) {
  const [file] = document.querySelector('input').files;
  // It takes no token without this in front, which the server takes off again.
  globalThis.at = { hubUrl: endpoint, accessToken: `hf_${token}`, repo: { type: 'model', name } };
  await hub.createRepo(at);
  const started = performance.now();
  await hub.uploadFiles({ ...at, files: [{ path: 'data.bin', content: file }], useXet: true });
  return { ms: performance.now() - started };
}

async function theirStream() {
  const [file] = document.querySelector('input').files;
  const started = performance.now();
  const blob = await hub.downloadFile({ ...at, path: 'data.bin', xet: true });
  let bytes = 0;
  const write = (piece) => {
    bytes += piece.length;
  };
  await blob.stream().pipeTo(new WritableStream({ write }));
  if (bytes !== file.size) throw new Error(`got ${bytes} bytes`);
  return { ms: performance.now() - started };
}

const OURS = [
  ['upload', upload],
  ['download into a file', intoFile],
  ['compare', compare],
  ['download as a stream', asStream],
];
const THEIRS = [
  ['upload', theirUpload],
  ['download as a stream', theirStream],
];

try {
  const site = await serveFiles();
  const path = process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium';
  for (let round = 1; round <= Number(values.rounds); round++) {
    await makeFile(join(work, 'data.bin'), round);
    for (const who of values.hub === undefined
      ? ['orbweaver']
      : ['orbweaver', '@huggingface/hub']) {
      const store = await startStore(join(work, `store-${round}-${who.replace(/\W/g, '')}`));
      const page = await openChromium(path, site.url);
      // Before the page is there, there is nothing to ask.
      const isReady = () => page.evaluate('globalThis.orbweaver !== undefined').catch(() => false);
      while (!(await isReady())) await sleep(50);
      await page.pick('input', join(work, 'data.bin'));
      await page.settled();
      const facts = { endpoint: store.endpoint, token: store.token, name: `bench/r${round}` };
      const memory = values.memory === undefined ? undefined : Number(values.memory) * MIB;
      const options = { ...facts, memory };
      const shown = [who];
      for (const [what, work] of who === 'orbweaver' ? OURS : THEIRS) {
        if (values.only !== undefined && !what.startsWith(values.only)) continue;
        const stop = await watchMemory(page);
        const before = await page.cpuSeconds();
        const storeBefore = cpuOf(store.pid);
        const { ms, ...said } = await page.run(work, options);
        const cpu = (await page.cpuSeconds()) - before;
        const storeCpu = cpuOf(store.pid) - storeBefore;
        const { heapMiB, processMiB } = stop();
        shown.push(
          `${what} ${Math.round(sizeBytes / MIB / (ms / 1000))} MiB/s (${Math.round(ms)} ms, processor time: browser ${cpu.toFixed(1)} s, store ${storeCpu.toFixed(1)} s; heap ${heapMiB} MiB, process ${processMiB} MiB) ${Object.values(said).join(' ')}`,
        );
      }
      console.log(shown.join('\n    '));
      await page.close();
      store.stop();
      rmSync(join(work, `store-${round}-${who.replace(/\W/g, '')}`), {
        recursive: true,
        force: true,
      });
    }
  }
  site.close();
} finally {
  rmSync(work, { recursive: true, force: true });
}
process.exit(0);
