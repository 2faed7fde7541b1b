import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunningGateway, startGateway } from 'orbweaver/gateway';
import { createHub, type Hub } from 'orbweaver/hub';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generate } from '../support/generators.js';

/** Our client against our server, both as an application has them. */

let top: string;
let gateway: RunningGateway;
let hub: Hub;

beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), 'orbweaver-own-hub-'));
  gateway = await startGateway({ data: join(top, 'store'), port: 0, workers: 0 });
  hub = createHub({ hubUrl: gateway.url, accessToken: gateway.writeToken, workers: 0 });
});
afterAll(async () => {
  await hub?.close();
  await gateway?.close();
  await rm(top, { recursive: true, force: true });
});

describe('a repository of our own server', () => {
  const repo = 'datasets/team/data';

  it('takes files, a new version at the cost of what is new, and gives both back', async () => {
    await hub.createRepo({ repo });
    await expect(hub.createRepo({ repo })).rejects.toMatchObject({ code: 'CONFLICT' });
    await hub.createRepo({ repo, existOk: true });
    const old = generate({ kind: 'splitmix64', seed: 21, bytes: 2_000_000 });
    const readme = new TextEncoder().encode('# data\n');
    const first = await hub.uploadFiles(
      [
        { path: 'weights/a.bin', content: old },
        { path: 'README.md', content: readme },
      ],
      { repo },
    );
    expect(first.failed).toEqual([]);
    expect(first.files.find(({ path }) => path === 'weights/a.bin')).toMatchObject({
      how: 'stored',
      sha256: createHash('sha256').update(old).digest('hex'),
    });
    const next = Uint8Array.from(old);
    next.fill(7, 0, 100);
    const second = await hub.uploadFiles([{ path: 'weights/a.bin', content: next }], { repo });
    expect(second.sentBytes).toBeLessThan(300_000);
    const out = join(top, 'out');
    const { failed } = await hub.downloadFolder({ repo, to: out });
    expect(failed).toEqual([]);
    expect((await readFile(join(out, 'weights/a.bin'))).equals(next)).toBe(true);
    expect((await readFile(join(out, 'README.md'))).equals(readme)).toBe(true);
    const revision = first.commits[0]?.oid ?? '';
    const before = { repo, revision, path: 'weights/a.bin', to: join(top, 'old.bin') };
    expect(await hub.downloadFile(before)).toMatchObject({ verified: true });
    expect((await readFile(join(top, 'old.bin'))).equals(old)).toBe(true);
  });

  it('has every change of eight who commit at the same time', async () => {
    await writeFile(join(top, 'x'), 'x');
    const commits = await Promise.all(
      Array.from({ length: 8 }, (_, i) =>
        hub.uploadFiles([{ path: `many/${i}`, content: join(top, 'x') }], { repo }),
      ),
    );
    expect(commits.map(({ commits: made }) => made.length)).toEqual(Array(8).fill(1));
    const found: string[] = [];
    for await (const { path, type } of hub.listFiles({ repo, path: 'many', recursive: true })) {
      if (type === 'file') found.push(path);
    }
    expect(found.sort()).toEqual(Array.from({ length: 8 }, (_, i) => `many/${i}`));
  });
});
