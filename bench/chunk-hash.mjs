// Question: how fast are cuts and chunk hashes of one stretch of bytes on one thread, beside
// (a) our cuts with hash-wasm's BLAKE3 and (b) @huggingface/xetchunk-wasm, both as published?
//
// Run:      npm run build && node bench/chunk-hash.mjs [MiB per round, default 64] [rounds, default 9]
// Compare:  the contenders run one after another in each round, in reversed order every other round,
//           in one warm process on the same seeded bytes. Time is the CPU time of the process (one
//           thread works), so that waiting for a busy core does not count. Read the ratio: it is
//           the median of the ratios within a round, which holds when the machine's speed drifts.
//           GB/s is the median of the rounds and says something about this machine today only.
// Noise:    on an idle 2-core machine a ratio repeats within 3 %; call a difference below 5 % none.
// Goal:     "orbweaver" is at least 2.5 times as fast as xetchunk-wasm.
//
// The peer's chunks are not the reference's (it cuts 8 % of random chunks below the minimum of
// 8192 bytes), so its hashes are not compared; ours are, with each other, before anything is timed.
import os from 'node:os';
import process from 'node:process';
import { getChunks } from '@huggingface/xetchunk-wasm';
import { createBLAKE3 } from 'hash-wasm';
import { createBlockMaker, median, pairedRatio, relativeNoise } from '../dist/bench/index.js';
import { createReadableScanner, DEFAULT_PARAMS, GEAR_TABLE } from '../dist/chunker/index.js';
import { createReadableCodec } from '../dist/compress/index.js';
import { createReadableBlake3, DATA_KEY } from '../dist/hash/index.js';
import {
  createKernels,
  createSharedMemory,
  KERNEL_SCRATCH_BYTES,
  KERNEL_STATIC_BYTES,
} from '../dist/kernels/index.js';

const mebibytes = Number(process.argv[2] ?? 64);
const rounds = Number(process.argv[3] ?? 9);
const size = mebibytes << 20;

const twins = {
  scanner: createReadableScanner(),
  hasher: createReadableBlake3(),
  codec: createReadableCodec(),
  gearTable: GEAR_TABLE,
};
const dataBase = KERNEL_STATIC_BYTES + KERNEL_SCRATCH_BYTES;
const memory = createSharedMemory({ bytes: dataBase + size });
const kernels = await createKernels({ tier: 'simd', twins, memory });
const ownKernels = await createKernels({ tier: 'simd', twins });
const blake3 = await createBLAKE3(256, DATA_KEY);
const peerHasher = {
  keyed(_key, data, out, outOffset) {
    out.set(blake3.init().update(data).digest('binary'), outOffset);
  },
};

const ordinary = new Uint8Array(size);
const makeBlock = createBlockMaker('random', 1);
for (let at = 0; at < size; at += 1 << 20) makeBlock(ordinary.subarray(at, at + (1 << 20)));
const shared = new Uint8Array(memory.buffer, dataBase, size);
shared.set(ordinary);

/** Cut, hash, next: the bytes of a chunk are still in the cache when they are hashed. */
function chunkAndHash(scanner, hasher, data) {
  const { minBytes, maxBytes, maskBits } = DEFAULT_PARAMS;
  const first = new Uint32Array(1);
  const chunks = [];
  for (let start = 0; start < data.length; ) {
    const limit = Math.min(start + maxBytes, data.length);
    const from = start + minBytes - 1;
    const found = from < limit ? scanner.scan(data, from, limit, maskBits, first) : 0;
    const end = found === 0 ? limit : first[0];
    const hash = new Uint8Array(32);
    hasher.keyed(DATA_KEY, data.subarray(start, end), hash, 0);
    chunks.push({ length: end - start, hash });
    start = end;
  }
  return chunks;
}

const contenders = [
  {
    name: 'orbweaver, bytes in shared memory',
    run: () => chunkAndHash(kernels.scanner, kernels.hasher, shared),
  },
  {
    name: 'orbweaver, ordinary array (copied)',
    run: () => chunkAndHash(ownKernels.scanner, ownKernels.hasher, ordinary),
  },
  {
    name: 'orbweaver, ordinary array copied to shared memory',
    run: () => chunkAndHash(kernels.scanner, kernels.hasher, ordinary),
  },
  {
    name: 'orbweaver cuts + hash-wasm BLAKE3',
    run: () => chunkAndHash(kernels.scanner, peerHasher, shared),
  },
  { name: '@huggingface/xetchunk-wasm', run: () => getChunks(ordinary) },
];

// Warm, and make sure that ours agree.
const results = contenders.map(({ run }) => run());
const text = (chunks) =>
  chunks.map(({ length, hash }) => `${length} ${Buffer.from(hash).toString('hex')}`).join('\n');
for (const other of [1, 2, 3]) {
  if (text(results[other]) !== text(results[0])) {
    throw new Error(`"${contenders[other].name}" gives other chunks than "${contenders[0].name}"`);
  }
}

const times = contenders.map(() => []);
for (let round = 0; round < rounds; round++) {
  const order = contenders.map((_, i) => (round % 2 === 0 ? i : contenders.length - 1 - i));
  for (const i of order) {
    const start = process.cpuUsage();
    contenders[i].run();
    const { user, system } = process.cpuUsage(start);
    times[i].push((user + system) / 1000);
  }
}

const peer = times.at(-1);
console.log(
  `chunk + hash, ${mebibytes} MiB random, ${rounds} rounds, ${os.cpus()[0]?.model.trim()} x ${os.cpus().length}, ` +
    `${os.type()} ${os.release()}, Node ${process.versions.node}\n`,
);
console.log('| contender | chunks | CPU ms | GB/s | noise | x xetchunk-wasm |');
console.log('|---|---:|---:|---:|---:|---:|');
contenders.forEach(({ name }, i) => {
  const ms = median(times[i]);
  const cells = [
    name,
    results[i].length,
    ms.toFixed(1),
    (size / ms / 1e6).toFixed(3),
    `${(relativeNoise(times[i]) * 100).toFixed(1)} %`,
    pairedRatio(times[i], peer).toFixed(2),
  ];
  console.log(`| ${cells.join(' | ')} |`);
});
console.log('\nraw CPU ms:');
contenders.forEach(({ name }, i) => {
  console.log(`${name}: ${times[i].map((ms) => ms.toFixed(1)).join(' ')}`);
});
