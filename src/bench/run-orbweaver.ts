/** The process that is measured when orbweaver is: one piece of work, then its own account. */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { chunkInput, createClient } from '../index.js';
import type { OrbweaverSettings } from './contenders.js';
import { type IngestWork, readWork, reportWork, type WorkRequest } from './work.js';

interface Told {
  readonly work: WorkRequest;
  readonly settings: OrbweaverSettings;
}

const {
  work,
  settings: { chunkOn = 'thread', ...compute },
} = await readWork<Told>();
reportWork({ hashes: await run() });

async function run(): Promise<readonly string[]> {
  if (work.op === 'ingest') return ingest(work);
  if (work.op === 'chunk' && chunkOn === 'thread') {
    const hashes: string[] = [];
    for (const path of work.paths) {
      hashes.push((await chunkInput(path, { tier: compute.tier })).fileHash);
    }
    return hashes;
  }
  const client = await createClient({ ...compute, ...(await serverOptions(work)) });
  try {
    if (work.op !== 'download') {
      const how = work.op === 'chunk' ? { dryRun: true } : { sha256: true };
      const { files, failed } = await client.upload(work.paths, how);
      const [first] = failed;
      if (first !== undefined) throw new Error(`${first.path}: ${first.code} ${first.message}`);
      return files.map((file) => file.fileHash);
    }
    const { hash, path: to, range } = work;
    const part = range === null ? {} : { offset: range.start, length: range.end - range.start };
    await client.download(hash, { to, ...part });
    return [hash];
  } finally {
    await client.close();
  }
}

async function serverOptions(work: Exclude<WorkRequest, IngestWork>) {
  if (work.op === 'chunk') return { endpoint: null, compression: 'none' } as const;
  const { endpoint, token, caPath } = work.server;
  return { endpoint, token, ca: caPath === null ? undefined : await readFile(caPath, 'utf8') };
}

/** Xorbs several at a time, as many as a client has under way by default, then the shards, which name them. */
async function ingest({ bodies, data }: IngestWork): Promise<readonly string[]> {
  const { startGateway } = await import('../gateway.js');
  const { workers, maxMemory } = compute;
  const gateway = await startGateway({ data, port: 0, workers, maxMemory });
  const headers = { authorization: `Bearer ${gateway.writeToken}` };
  const post = async (path: string, name: string): Promise<void> => {
    const body = await readFile(join(bodies, name));
    const response = await fetch(gateway.url + path, { method: 'POST', headers, body });
    await response.arrayBuffer();
    if (response.status !== 200) throw new Error(`${path}: status ${response.status}`);
  };
  const names = await readdir(bodies);
  const xorbs = names.filter((name) => name.startsWith('xorb-'));
  const sendXorbs = async (): Promise<void> => {
    for (let name = xorbs.pop(); name !== undefined; name = xorbs.pop()) {
      await post(`/v1/xorbs/default/${name.slice('xorb-'.length)}`, name);
    }
  };
  await Promise.all(Array.from({ length: 4 }, sendXorbs));
  for (const name of names.filter((one) => one.startsWith('shard-'))) {
    await post('/v1/shards', name);
  }
  await gateway.close();
  return [];
}
