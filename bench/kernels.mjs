// Question: what does each kernel do per second, and what is it worth over the tier below?
//
// Run:      npm run build && node bench/kernels.mjs [part of a name, for example "BLAKE3"]
// Compare:  two builds on the same machine, one after the other and back; the contenders of one run
//           take turns and the order is reversed each round. Bytes lie in shared memory, as they do
//           in the pool. GB/s is of input bytes (decompression: of output bytes), from the median
//           call of the median round.
// Noise:    on an idle 2-core machine medians repeat within 3 %; call a difference below 10 % none.
//           The noise column is the spread within the median round: above 20 % the machine is busy.
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import os from 'node:os';
import process from 'node:process';
import { createBlockMaker, runKernelBench } from '../dist/bench/index.js';
import { createReadableScanner, GEAR_TABLE } from '../dist/chunker/index.js';
import { createReadableCodec } from '../dist/compress/index.js';
import { createReadableBlake3, DATA_KEY } from '../dist/hash/index.js';
import {
  createKernels,
  createSharedMemory,
  KERNEL_SCRATCH_BYTES,
  KERNEL_STATIC_BYTES,
} from '../dist/kernels/index.js';

const CHUNK_BYTES = 65536;
const CHUNK_COUNT = 64;
const SET_BYTES = CHUNK_BYTES * CHUNK_COUNT;

const only = process.argv[2] ?? '';
const twins = {
  scanner: createReadableScanner(),
  hasher: createReadableBlake3(),
  codec: createReadableCodec(),
  gearTable: GEAR_TABLE,
};
const dataBase = KERNEL_STATIC_BYTES + KERNEL_SCRATCH_BYTES;
const memory = createSharedMemory({ bytes: dataBase + 8 * SET_BYTES });
const tiers = {
  simd: await createKernels({ tier: 'simd', twins, memory }),
  portable: await createKernels({ tier: 'portable', twins }),
  readable: await createKernels({ tier: 'readable', twins }),
};
let next = dataBase;
function claim(bytes) {
  const view = new Uint8Array(memory.buffer, next, bytes);
  next += Math.ceil(bytes / 64) * 64;
  return view;
}

/** Chunks from all over the running executable: machine code, tables, text, zeros. */
function executableChunks(into) {
  const file = openSync(process.execPath, 'r');
  const step = Math.floor((statSync(process.execPath).size - CHUNK_BYTES) / CHUNK_COUNT);
  for (let i = 0; i < CHUNK_COUNT; i++) {
    readSync(file, into, i * CHUNK_BYTES, CHUNK_BYTES, i * step);
  }
  closeSync(file);
}

function seeded(name, into) {
  const make = createBlockMaker(name, 1);
  const block = new Uint8Array(1 << 20);
  for (let at = 0; at < into.length; at += block.length) {
    make(block);
    into.set(block, at);
  }
}

const sets = { executable: claim(SET_BYTES), random: claim(SET_BYTES), text: claim(SET_BYTES) };
executableChunks(sets.executable);
seeded('random', sets.random);
seeded('text', sets.text);

const cases = [];
function add(name, variant, bytesPerCall, run) {
  if (name.includes(only)) cases.push({ name, variant, bytesPerCall, run });
}
function each(run) {
  for (let at = 0; at < SET_BYTES; at += CHUNK_BYTES) run(at, at + CHUNK_BYTES);
}

const candidates = new Uint32Array(4096);
const digest = new Uint8Array(32);
for (const variant of ['simd', 'readable']) {
  const { scanner } = tiers[variant];
  add('gear scan, random', variant, SET_BYTES, () =>
    scanner.scan(sets.random, 0, SET_BYTES, 16, candidates),
  );
}
for (const [variant, { hasher }] of Object.entries(tiers)) {
  for (const [label, length] of [
    ['64 KiB', CHUNK_BYTES],
    ['8 KiB', 8192],
    ['792 B', 792],
    ['64 B', 64],
  ]) {
    const data = sets.random.subarray(0, length);
    add(`BLAKE3 keyed, ${label}`, variant, length, () => hasher.keyed(DATA_KEY, data, digest, 0));
  }
  const ends = Uint32Array.from({ length: 1000 }, (_, i) => (i + 1) * 170);
  const digests = new Uint8Array(32_000);
  add('BLAKE3 keyed, 1000 x 170 B', variant, 170_000, () =>
    hasher.keyedMany(DATA_KEY, sets.random, 0, ends, 1000, digests, 0),
  );
}

const out = claim(CHUNK_BYTES + 512);
const ratios = [];
for (const variant of ['simd', 'readable']) {
  const { codec } = tiers[variant];
  for (const [name, set] of Object.entries(sets)) {
    // As a chunk is tried: no room for a block that would not be shorter.
    add(`LZ4 compress, ${name}`, variant, SET_BYTES, () =>
      each((start, end) =>
        codec.lz4Compress(set.subarray(start, end), out.subarray(0, CHUNK_BYTES)),
      ),
    );
    if (name === 'random') continue;
    let packedBytes = 0;
    const blocks = [];
    each((start, end) => {
      const length = codec.lz4Compress(set.subarray(start, end), out);
      const block = claim(length);
      block.set(out.subarray(0, length));
      blocks.push(block);
      packedBytes += length;
    });
    ratios.push(`${name}, ${variant}: ${(packedBytes / SET_BYTES).toFixed(4)}`);
    add(`LZ4 decompress, ${name}`, variant, SET_BYTES, () => {
      for (const block of blocks) codec.lz4Decompress(block, out.subarray(0, CHUNK_BYTES), 0);
    });
  }
  const chunk = sets.random.subarray(0, CHUNK_BYTES);
  const grouped = out.subarray(0, CHUNK_BYTES);
  add('BG4 split', variant, CHUNK_BYTES, () => codec.bg4Split(chunk, grouped));
  add('BG4 join', variant, CHUNK_BYTES, () => codec.bg4Join(chunk, grouped));
}
const target = out.subarray(8, 8 + CHUNK_BYTES - 64);
const moved = sets.random.subarray(3, 3 + target.length);
const copy = 'copy in shared memory, other place in the word';
add(copy, 'simd', target.length, () => tiers.simd.codec.copy(moved, target));
add(copy, 'Uint8Array.set', target.length, () => target.set(moved));

const reports = await runKernelBench(cases, { timeMs: 250, rounds: 5 });
console.log(
  `kernels, ${os.cpus()[0]?.model.trim()} x ${os.cpus().length}, ${os.type()} ${os.release()}, ` +
    `Node ${process.versions.node}\n`,
);
console.log('| kernel | tier | GB/s | ns/call | noise | x slowest |');
console.log('|---|---|---:|---:|---:|---:|');
const speed = ({ bytesPerCall, medianNs }) => bytesPerCall / medianNs;
const names = [...new Set(reports.map(({ name }) => name))];
for (const name of names) {
  const group = reports.filter((report) => report.name === name);
  const slowest = Math.min(...group.map(speed));
  for (const report of group) {
    const cells = [
      name,
      report.variant,
      speed(report).toFixed(3),
      report.medianNs.toFixed(0),
      `${(report.noise * 100).toFixed(0)} %`,
      (speed(report) / slowest).toFixed(1),
    ];
    console.log(`| ${cells.join(' | ')} |`);
  }
}
console.log(`\nLZ4 output / input: ${ratios.join(' · ')}`);
