/**
 * Posts recorded bodies to a gateway as fast as it takes them: xorbs several at a time, then shards,
 * which name them. The bodies are in memory before the clock starts.
 */
import { readdir, readFile } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { join } from 'node:path';
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { ownUsage } from './own-usage.js';

/** As many as a client has under way by default. */
const CONNECTIONS = 4;

const { endpoint, token, folder } = JSON.parse(await text(process.stdin)) as {
  readonly endpoint: string;
  readonly token: string;
  readonly folder: string;
};
const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
const names = (await readdir(folder)).sort();
const bodies = new Map<string, Buffer>();
for (const name of names) bodies.set(name, await readFile(join(folder, name)));

const startedAt = performance.now();
const xorbs = names.filter((name) => name.startsWith('xorb-'));
await Promise.all(
  xorbs.map((name) => post(`/v1/xorbs/default/${name.slice('xorb-'.length)}`, name)),
);
for (const name of names.filter((other) => other.startsWith('shard-'))) {
  await post('/v1/shards', name);
}
const ingestMs = performance.now() - startedAt;
agent.destroy();
process.stdout.write(`${JSON.stringify({ ingestMs, ...ownUsage() })}\n`);

function post(path: string, name: string): Promise<void> {
  const body = bodies.get(name) as Buffer;
  return new Promise((resolve, reject) => {
    const sent = request(
      new URL(path, endpoint),
      {
        method: 'POST',
        agent,
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': 'application/octet-stream',
          'content-length': body.length,
        },
      },
      (response) => {
        response.resume();
        response.on('error', reject);
        response.on('end', () => {
          if (response.statusCode === 200) resolve();
          else reject(new Error(`${path} answered ${response.statusCode}`));
        });
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}
