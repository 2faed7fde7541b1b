/** The process that is measured when orbweaver is: one piece of work, then its own account. */
import { readFile } from 'node:fs/promises';
import { chunkInput, createClient, type OrbweaverClient } from '../index.js';
import type { OrbweaverSettings } from './contender-orbweaver.js';
import { readWork, reportWork, type WorkRequest } from './work-request.js';

const { work, settings } = (await readWork()) as {
  work: WorkRequest;
  settings: OrbweaverSettings;
};
reportWork({ hashes: await run() });

async function run(): Promise<string[]> {
  if (work.op === 'chunk' && settings.chunkOn !== 'pool') {
    const hashes: string[] = [];
    for (const path of work.paths) {
      hashes.push((await chunkInput(path, { tier: settings.tier })).fileHash);
    }
    return hashes;
  }
  const { workers, maxMemory, tier, placement } = settings;
  const compute = { workers, maxMemory, tier, placement };
  if (work.op === 'chunk') {
    const client = await createClient({ ...compute, endpoint: null, compression: 'none' });
    return upload(client, work.paths, { sha256: false, dryRun: true });
  }
  const { endpoint, token, caPath } = work.server;
  const ca = caPath === null ? undefined : await readFile(caPath, 'utf8');
  const client = await createClient({ ...compute, endpoint, token, ca });
  if (work.op === 'upload') return upload(client, work.paths, { sha256: true, dryRun: false });
  try {
    const { range } = work;
    await client.download(work.hash, {
      to: work.path,
      ...(range === null ? {} : { offset: range.start, length: range.end - range.start }),
    });
    return [work.hash];
  } finally {
    await client.close();
  }
}

async function upload(
  client: OrbweaverClient,
  paths: readonly string[],
  options: { readonly sha256: boolean; readonly dryRun: boolean },
): Promise<string[]> {
  try {
    const { files, failed } = await client.upload(paths, options);
    const [first] = failed;
    if (first !== undefined) throw new Error(`${first.path}: ${first.code} ${first.message}`);
    return files.map((file) => file.fileHash);
  } finally {
    await client.close();
  }
}
