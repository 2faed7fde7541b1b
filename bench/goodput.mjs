// Goodput over shaped links: the default against fixed numbers of requests at a time.
//
//     npm run build && node bench/goodput.mjs [--quick] [--links 1x10,10x300] [--seconds 20] [--rounds 1]
//
// Links are Mbit/s and the round trip in ms; seconds are those that a transfer takes at the full rate; of
// several rounds, which are interleaved, the median counts.
//
// A link is a proxy in this process: bytes of all connections of a direction share a rate, and are late
// by half a round trip. That costs processor time, so 1000 Mbit/s cannot be shaped here honestly; the
// simulated links of test/flow/goodput.test.ts go there.

import { randomFillSync } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

const { createClient } = await import('../dist/index.js');
const { startGateway } = await import('../dist/gateway.js');

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    links: { type: 'string' },
    seconds: { type: 'string' },
    rounds: { type: 'string', default: '1' },
  },
});
const { quick } = options;
const LINKS = options.links
  ? options.links.split(',').map((link) => link.split('x').map(Number))
  : quick
    ? [
        [20, 20],
        [20, 200],
        [100, 20],
        [100, 200],
      ]
    : [
        [1, 10],
        [1, 300],
        [10, 10],
        [10, 300],
        [100, 10],
        [100, 100],
        [100, 300],
        [200, 50],
        [200, 300],
      ];
const FIXED = quick ? [1, 4, 8, 32] : [1, 2, 4, 8, 16, 32];
/** Seconds that a transfer takes at the full rate. */
const SECONDS = Number(options.seconds ?? (quick ? 6 : 20));
const ROUNDS = Number(options.rounds);
/** Of one connection under way: what an operating system lets there be. */
const WINDOW_BYTES = 1 << 20;

/** One direction of all connections: a rate, a delay. */
function direction(bytesPerMs, delayMs) {
  let free = performance.now();
  return (from, to) => {
    let underWay = 0;
    /** In order: a timer alone would let bytes overtake each other. */
    const queue = [];
    let isPumping = false;
    const pump = () => {
      const now = performance.now();
      while (queue.length > 0 && queue[0].due <= now) queue.shift().work();
      isPumping = queue.length > 0;
      if (isPumping) setTimeout(pump, queue[0].due - now);
    };
    const later = (due, work) => {
      queue.push({ due, work });
      if (!isPumping) {
        isPumping = true;
        setTimeout(pump, due - performance.now());
      }
    };
    from.on('data', (bytes) => {
      underWay += bytes.length;
      if (underWay >= WINDOW_BYTES) from.pause();
      free = Math.max(free, performance.now()) + bytes.length / bytesPerMs;
      later(free + delayMs, () => {
        to.write(bytes);
        setTimeout(() => {
          underWay -= bytes.length;
          if (from.isPaused() && underWay < WINDOW_BYTES) from.resume();
        }, delayMs);
      });
    });
    const end = (work) => later(Math.max(free, performance.now()) + delayMs, work);
    from.once('end', () => end(() => to.end()));
    from.once('close', () => end(() => to.destroySoon()));
  };
}

async function link(target, mbitPerS, roundTripMs) {
  const up = direction((mbitPerS * 1e6) / 8 / 1000, roundTripMs / 2);
  const down = direction((mbitPerS * 1e6) / 8 / 1000, roundTripMs / 2);
  const server = createServer({ allowHalfOpen: true, highWaterMark: 16384 }, (client) => {
    client.on('error', () => client.destroy());
    client.pause();
    setTimeout(() => {
      const upstream = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true });
      upstream.on('error', () => client.destroy());
      up(client, upstream);
      down(upstream, client);
      client.resume();
    }, roundTripMs);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}`, close: () => server.close() };
}

function median(rates) {
  const sorted = rates.toSorted((a, b) => a - b);
  return (sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2;
}

const folder = await mkdtemp(join(tmpdir(), 'orbweaver-goodput-'));
const gateway = await startGateway({
  data: join(folder, 'store'),
  port: 0,
  sync: false,
  workers: 0,
});
const port = Number(new URL(gateway.url).port);
const sinkOf = (n) => join(folder, `out-${n}`);
let run = 0;
console.log(`| link | direction | ${FIXED.join(' | ')} | default | of the best fixed |`);
console.log(`|---|---|${'---:|'.repeat(FIXED.length + 2)}`);
for (const [mbit, rtt] of LINKS) {
  const sizeBytes = Math.round((mbit * 1e6 * SECONDS) / 8);
  const at = await link(port, mbit, rtt);
  const open = (concurrency) =>
    createClient({
      endpoint: at.url,
      token: gateway.writeToken,
      workers: 0,
      ...(concurrency === null ? {} : { concurrency }),
    });
  const direct = await createClient({
    endpoint: gateway.url,
    token: gateway.writeToken,
    workers: 0,
  });
  const { files } = await direct.upload(randomFillSync(new Uint8Array(sizeBytes)), {
    maxXorbBytes: 4 << 20,
  });
  await direct.close();
  for (const way of ['download', 'upload']) {
    const settings = [...FIXED, null];
    const measured = settings.map(() => []);
    for (let round = 0; round < ROUNDS; round++) {
      for (const [at, concurrency] of settings.entries()) {
        const client = await open(concurrency);
        const bytes = way === 'upload' ? randomFillSync(new Uint8Array(sizeBytes)) : null;
        const started = performance.now();
        if (bytes === null) await client.download(files[0].fileHash, { to: sinkOf(run) });
        else await client.upload(bytes, { maxXorbBytes: 4 << 20 });
        measured[at].push((sizeBytes * 8) / (performance.now() - started) / 1000);
        await client.close();
        if (bytes === null) await rm(sinkOf(run++));
      }
    }
    const rates = measured.map(median);
    const best = Math.max(...rates.slice(0, -1));
    const cells = rates.map((rate) => rate.toFixed(1)).join(' | ');
    console.log(
      `| ${mbit} Mbit/s, ${rtt} ms | ${way} | ${cells} | ${(rates.at(-1) / best).toFixed(2)} |`,
    );
  }
  at.close();
}
await gateway.close();
await rm(folder, { recursive: true, force: true });
process.exit(0);
