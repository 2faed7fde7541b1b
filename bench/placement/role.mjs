// One process of bench/placement.mjs: a server, or a client that does one thing and says what it
// cost. Told what to do as JSON on its standard input, answers with a line of JSON.
import { createReadStream } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { createClient } from '../../dist/index.js';
import { DEFAULT_READ_PRICE } from '../../dist/plan/index.js';
import { openLink } from './link.mjs';

const TOKEN = 'bench';

const ROLES = {
  /** A gateway over a folder; tells where it listens, ends with its standard input. */
  async gateway({ data, gapBytes }) {
    // Only this bench turns the constant of the shared price model.
    if (gapBytes !== null) DEFAULT_READ_PRICE.requestCostBytes = gapBytes;
    const { startGateway } = await import('../../dist/gateway.js');
    const gateway = await startGateway({ data, port: 0, token: TOKEN });
    return { ready: { url: gateway.url }, close: gateway.close };
  },

  /** A link with a round trip and a bandwidth, in front of a gateway. */
  async network({ url, rttMs, mbit }) {
    const link = await openLink(new URL(url), rttMs, (mbit * 1e6) / 8);
    return { ready: { url: `http://127.0.0.1:${link.port}` }, close: link.close };
  },

  /** Uploads files in one session: at once, one after another, or both read in turns. */
  async upload({ endpoint, placement, paths, order, shardCacheDir, base }) {
    const client = await createClient({ endpoint, token: TOKEN, placement, shardCacheDir });
    const inputs = order === 'files' ? paths : orderedStreams(paths, order);
    const { files, failed, xorbBytes, shardBytes, wallMs } = await client.upload(inputs, { base });
    await client.close();
    if (failed.length > 0) throw new Error(failed[0].message);
    return { result: { files, xorbBytes, shardBytes, wallMs } };
  },

  async read({ endpoint, hash, to }) {
    const client = await createClient({ endpoint, token: TOKEN });
    const usage = process.cpuUsage();
    const { wallMs, fetchedBytes, requestCount } = await client.download(hash, { to });
    const cpuMs = cpuSince(usage);
    await client.close();
    return { result: { wallMs, cpuMs, fetchedBytes, requestCount } };
  },
};

function cpuSince(usage) {
  const { user, system } = process.cpuUsage(usage);
  return (user + system) / 1000;
}

/** Streams that are read one after another, or piece by piece in turns. */
function orderedStreams(paths, order) {
  let turn = 0;
  let open = paths.length;
  const waiting = [];
  const pass = () => {
    turn++;
    for (const wake of waiting.splice(0)) wake();
  };
  const mine = async (index) => {
    while (open > 1 && turn % paths.length !== index) {
      await new Promise((resolve) => waiting.push(resolve));
    }
  };
  return paths.map((path, index) => ({
    name: path,
    data: (async function* () {
      for await (const piece of createReadStream(path, { highWaterMark: 1 << 20 })) {
        await mine(index);
        yield piece;
        if (order === 'turns') pass();
      }
      open--;
      pass();
    })(),
  }));
}

async function runRole(role) {
  if (role === 'gateway' || role === 'network') {
    const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
    const request = JSON.parse((await lines.next()).value);
    const { ready, close } = await ROLES[role](request);
    console.log(JSON.stringify(ready));
    const usage = process.cpuUsage();
    while ((await lines.next()).value === 'cpu') console.log(cpuSince(usage));
    await close();
    process.exit(0);
  }
  const { result } = await ROLES[role](JSON.parse(await text(process.stdin)));
  console.log(JSON.stringify(result));
}

await runRole(process.argv[2]);
