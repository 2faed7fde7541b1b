// Question: what do many small files cost the store of a gateway: files on its disk, bytes, time?
//
// Run:      npm run build && node bench/small-files.mjs [files in one upload, default 20000]
//           [single uploads, default 2000] [folder, default that for temporary files]
// Measures: a gateway and a client in one process. First one upload of so many files of 1 KiB, then so many
//           uploads of one file of 1 KiB, each store its own. Inodes and bytes are what the disk
//           counts (512 bytes a block), by the top folder of the store. "Registered" is the time of the
//           request for the shard, with the flush to the disk; questions are asked of a gateway that was
//           started anew, of 256 chunks each (dense) and of one.
// Noise:    times of a disk that others use, too; counts differ by some folders from run to run.
// Goal:     less than one inode for ten files of one upload, and a few for each upload.
import { lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { startGateway } from '../dist/gateway.js';
import { createClient } from '../dist/index.js';

const together = Number(process.argv[2] ?? 20_000);
const single = Number(process.argv[3] ?? 2000);
const root = mkdtempSync(path.join(process.argv[4] ?? os.tmpdir(), 'orbweaver-small-'));

/** A file of 1 KiB that no other is like. */
function small(number) {
  const bytes = new Uint8Array(1024);
  let state = number + 1;
  for (let at = 0; at < bytes.length; at++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    bytes[at] = state >>> 24;
  }
  return bytes;
}

function usage(folder) {
  let inodes = 1;
  let bytes = 512 * lstatSync(folder).blocks;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const below = path.join(folder, entry.name);
    if (entry.isDirectory()) {
      const each = usage(below);
      inodes += each.inodes;
      bytes += each.bytes;
    } else {
      inodes++;
      bytes += 512 * lstatSync(below).blocks;
    }
  }
  return { inodes, bytes };
}

function report(name, data) {
  const all = usage(data);
  console.log(`${name}: ${all.inodes} inodes, ${(all.bytes / 2 ** 20).toFixed(1)} MiB`);
  for (const entry of readdirSync(data, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    const { inodes, bytes } = usage(path.join(data, entry.name));
    console.log(
      `    ${entry.name.padEnd(8)} ${inodes} inodes, ${(bytes / 2 ** 20).toFixed(1)} MiB`,
    );
  }
}

const median = (list) => [...list].sort((a, b) => a - b)[list.length >> 1] ?? Number.NaN;

async function withGateway(data, run) {
  const shards = [];
  const gateway = await startGateway({
    data,
    port: 0,
    onAccess: ({ path: at, durationMs }) => {
      if (at.endsWith('/shards')) shards.push(durationMs);
    },
    onFault: ({ error }) => console.log('fault', error),
  });
  const client = await createClient({ endpoint: gateway.url, token: gateway.writeToken });
  try {
    return await run({ gateway, client, shards });
  } finally {
    await client.close();
    await gateway.close();
  }
}

/** Latency of dedup questions, one chunk of a hundred known. */
async function ask(gateway, chunks) {
  const headers = { authorization: `Bearer ${gateway.readToken}` };
  const times = { one: [], dense: [] };
  const unknown = (n) => n.toString(16).padStart(64, 'e');
  for (let at = 0; at < 200; at++) {
    const start = performance.now();
    await (
      await fetch(`${gateway.url}/v1/chunks/default-merkledb/${unknown(at)}`, { headers })
    ).arrayBuffer();
    times.one.push(performance.now() - start);
  }
  for (let at = 0; at < 30; at++) {
    const list = Array.from({ length: 256 }, (_, index) => unknown(1000 + 256 * at + index));
    const start = performance.now();
    const response = await fetch(`${gateway.url}/v1/chunks/default-merkledb`, {
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ chunks: list }),
    });
    await response.arrayBuffer();
    times.dense.push(performance.now() - start);
  }
  const heads = [];
  for (const hash of chunks.slice(0, 200)) {
    const start = performance.now();
    const { status } = await fetch(`${gateway.url}/v1/files/${hash}`, { method: 'HEAD', headers });
    if (status !== 200) throw new Error(`${hash} is ${status}`);
    heads.push(performance.now() - start);
  }
  console.log(
    `    a question: of one chunk ${median(times.one).toFixed(2)} ms, of 256 ${median(times.dense).toFixed(1)} ms; HEAD of a file ${median(heads).toFixed(2)} ms`,
  );
}

try {
  const first = path.join(root, 'together');
  let hashes = [];
  await withGateway(first, async ({ client, shards }) => {
    const inputs = Array.from({ length: together }, (_, at) => ({
      name: `f${at}`,
      data: small(at),
    }));
    const start = performance.now();
    const { files, failed } = await client.upload(inputs);
    if (failed.length > 0) throw failed[0].error;
    hashes = files.map((file) => file.fileHash);
    const seconds = (performance.now() - start) / 1000;
    console.log(
      `one upload of ${together}: ${seconds.toFixed(1)} s, registered in ${shards.map((ms) => ms.toFixed(0)).join(' + ')} ms`,
    );
  });
  report('    the store', first);
  await withGateway(first, ({ gateway }) => ask(gateway, hashes));

  const second = path.join(root, 'single');
  await withGateway(second, async ({ client, shards }) => {
    const start = performance.now();
    hashes = [];
    for (let at = 0; at < single; at++) {
      const { files } = await client.upload(small(1_000_000 + at));
      hashes.push(files[0].fileHash);
    }
    const seconds = (performance.now() - start) / 1000;
    console.log(
      `${single} uploads of one: ${seconds.toFixed(1)} s, each registered in ${median(shards).toFixed(1)} ms (at most ${Math.max(...shards).toFixed(0)})`,
    );
  });
  report('    the store', second);
  await withGateway(second, ({ gateway }) => ask(gateway, hashes));
} finally {
  rmSync(root, { recursive: true, force: true });
}
