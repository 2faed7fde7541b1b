// What does an upload cost when the network costs nothing? Files go through the whole pipeline
// (read, cut, hash, dedup, pack) to a server that takes everything at once.
//
//   npm run build && node bench/upload-null.mjs FILE... [--threads N] [--sha256] [--no-shared]
//
// Prints wall time, CPU time of all threads, peak resident memory and xorbs. Compare in one sitting,
// runs interleaved, files on memory-backed disk; differences below 5 % are noise on a quiet machine.
import { open, stat } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { createUploadSession } from '../dist/client/index.js';
import { SYSTEM_CLOCK } from '../dist/platform/index.js';
import { createComputePool } from '../dist/workers/index.js';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    threads: { type: 'string' },
    memory: { type: 'string' },
    sha256: { type: 'boolean', default: false },
    'no-shared': { type: 'boolean', default: false },
  },
});

if (positionals.length === 0) {
  console.error('Usage: node bench/upload-null.mjs FILE... [--threads N] [--sha256] [--no-shared]');
  process.exit(2);
}

const pool = await createComputePool({
  ...(values.threads === undefined ? {} : { threads: Number(values.threads) }),
  ...(values.memory === undefined ? {} : { maxMemory: Number(values.memory) * 1024 * 1024 }),
  ...(values['no-shared'] ? { sharedMemory: false } : {}),
});

async function fileSource(name) {
  const { size } = await stat(name);
  return {
    name,
    sizeBytes: size,
    reopenable: true,
    async open() {
      const file = await open(name);
      return {
        read: async (into) => (await file.read(into, 0, into.length)).bytesRead,
        close: () => file.close(),
      };
    },
  };
}

const cas = {
  queryDedup: async () => null,
  putXorb: async () => ({ inserted: true }),
  putShard: async () => ({ registered: true }),
};
const started = performance.now();
const session = createUploadSession({
  cas,
  pool,
  hasher: pool.kernels.hasher,
  clock: SYSTEM_CLOCK,
});
for (const name of positionals) {
  const added = session.add(await fileSource(name), { sha256: values.sha256 });
  added.catch((error) => console.error(`${name}: ${error.message}`));
}
const summary = await session.finish();
const wallMs = performance.now() - started;
const { user, system } = process.cpuUsage();
console.log(
  JSON.stringify({
    threads: pool.threads,
    tier: pool.tier,
    sharedMemory: pool.sharedMemory,
    files: summary.files.length,
    bytes: summary.files.reduce((sum, file) => sum + file.sizeBytes, 0),
    wallMs: Math.round(wallMs),
    cpuMs: Math.round((user + system) / 1000),
    peakMiB: Math.round(process.resourceUsage().maxRSS / 1024),
    xorbCount: summary.xorbCount,
    xorbBytes: summary.xorbBytes,
    indexBytes: summary.indexBytes,
  }),
);
await pool.close();
