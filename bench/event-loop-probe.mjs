// Loaded into the gateway of event-loop.mjs (`node --import`): says over the channel of its parent how long
// the loop was held up since `reset`, by the histogram of Node, and by the processor time that the main
// thread took between two turns, which does not grow when other programs keep it waiting.
import { readFileSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';

const ACCOUNT = `/proc/self/task/${process.pid}/schedstat`;
const cpuMs = () => Number(readFileSync(ACCOUNT, 'utf8').split(' ')[0]) / 1e6;

const histogram = monitorEventLoopDelay({ resolution: 1 });
histogram.enable();
let lastMs = cpuMs();
let longestMs = 0;
let over = 0;
const tick = () => {
  const nowMs = cpuMs();
  longestMs = Math.max(longestMs, nowMs - lastMs);
  if (nowMs - lastMs > 50) over++;
  lastMs = nowMs;
};
setInterval(tick, 1).unref();

process.on('message', (message) => {
  tick();
  process.send({
    delayMs: histogram.max / 1e6,
    p99Ms: histogram.percentile(99) / 1e6,
    cpuMs: longestMs,
    over,
  });
  if (message === 'reset') {
    histogram.reset();
    longestMs = 0;
    over = 0;
  }
});
process.channel.unref();
// Whoever measures is gone.
process.on('disconnect', () => process.exit());
