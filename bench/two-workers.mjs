// Question: how much more do two workers cut and hash than one?
//
// Run:      npm run build && node bench/two-workers.mjs [MiB per round, default 512] [rounds, default 9]
// Compare:  two pools in one warm process, with one and with two threads, the same seeded bytes in
//           their slabs, tasks as an upload gives them (`chunk`: cuts and chunk hashes of a slab). The
//           pools take turns, in reversed order every other round. Time is wall time, and the ratio
//           is the median of the ratios within a round.
// Noise:    two workers need both cores of a 2-core machine: whatever else runs there takes from them,
//           never from the pool of one. Run it on an idle machine and believe the better of two runs.
// Goal:     two workers do at least 1.7 times as much as one.
//
// Reading files is left out on purpose: it takes a core a third of the time, and the same in both cases.
// `npm run bench -- chunk` measures whole processes that read a file with one worker and with two.
import os from 'node:os';
import process from 'node:process';
import { createBlockMaker, median, pairedRatio, relativeNoise } from '../dist/bench/index.js';
import { createComputePool } from '../dist/workers/index.js';

const mebibytes = Number(process.argv[2] ?? 512);
const rounds = Number(process.argv[3] ?? 9);
const POOL_BYTES = 64 * 1024 * 1024;
/** Tasks that wait for a thread, beside those that run. */
const QUEUED = 2;

async function openPool(threads) {
  const pool = await createComputePool({ threads, maxMemory: POOL_BYTES });
  const slabs = await pool.acquire(threads + QUEUED);
  const makeBlock = createBlockMaker('random', 1);
  const fill = new Uint8Array(pool.slabBytes);
  makeBlock(fill);
  for (const slab of slabs) slab.bytes.set(fill);
  const segment = {
    start: 0,
    end: pool.slabBytes,
    fileStart: 0,
    isFirst: true,
    isLast: true,
    sha256: false,
  };
  const tasks = Math.ceil((mebibytes << 20) / pool.slabBytes);
  return {
    threads,
    bytes: tasks * pool.slabBytes,
    async run() {
      let left = tasks;
      const start = performance.now();
      await Promise.all(
        slabs.map(async (slab) => {
          while (left-- > 0) await pool.chunk(slab, [segment]);
        }),
      );
      return performance.now() - start;
    },
    async close() {
      for (const slab of slabs) slab.release();
      await pool.close();
    },
  };
}

const pools = [await openPool(1), await openPool(2)];
for (const pool of pools) await pool.run();
const times = pools.map(() => []);
for (let round = 0; round < rounds; round++) {
  for (const i of round % 2 === 0 ? [0, 1] : [1, 0]) times[i].push(await pools[i].run());
}
console.log(
  `cuts and chunk hashes, ${mebibytes} MiB random in memory, ${rounds} rounds, ` +
    `${os.cpus()[0]?.model.trim()} x ${os.cpus().length}, Node ${process.versions.node}\n`,
);
console.log('| workers | ms | GB/s | noise | x one worker |');
console.log('|---|---:|---:|---:|---:|');
pools.forEach(({ threads, bytes }, i) => {
  const ms = median(times[i]);
  const noise = `${(relativeNoise(times[i]) * 100).toFixed(1)} %`;
  const ratio = pairedRatio(times[i], times[0]).toFixed(2);
  console.log(
    `| ${[threads, ms.toFixed(0), (bytes / ms / 1e6).toFixed(2), noise, ratio].join(' | ')} |`,
  );
});
for (const pool of pools) await pool.close();
