import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createHub } from 'orbweaver/hub';
import { expect, it } from 'vitest';
import { Deferred } from '../../src/flow/index.js';
import { createHubRig, ORIGIN } from '../gateway/hub/rig.js';
import { generate } from '../support/generators.js';

it('a transfer goes on while another repository is asked for', async () => {
  const top = await mkdtemp(join(tmpdir(), 'orbweaver-two-'));
  const rig = await createHubRig();
  const reached = new Deferred<void>();
  const release = new Deferred<void>();
  let isHeld = false;
  const hub = createHub({
    ...{ hubUrl: ORIGIN, accessToken: 'writer', workers: 0, transport: 'xet' },
    exchange: async (request) => {
      if (isHeld && request.url.pathname.startsWith('/v1/fetch/')) {
        isHeld = false;
        reached.resolve();
        await release.promise;
      }
      return rig.gateway.exchange(request);
    },
  });
  try {
    const contents = [41, 42].map((seed) => generate({ kind: 'splitmix64', seed, bytes: 300_000 }));
    const at = (i: number) => ({ repo: `datasets/org/two-${i}`, path: 'a.bin' });
    for (const [i, content] of contents.entries()) {
      await hub.createRepo({ repo: at(i).repo });
      const { failed } = await hub.uploadFiles([{ path: 'a.bin', content }], { repo: at(i).repo });
      expect(failed).toEqual([]);
    }
    isHeld = true;
    const first = hub.downloadFile({ ...at(0), to: join(top, '0') });
    await reached.promise;
    expect(await hub.downloadFile({ ...at(1), to: join(top, '1') })).toMatchObject({
      verified: true,
    });
    release.resolve();
    expect(await first).toMatchObject({ verified: true });
    for (const [i, content] of contents.entries()) {
      expect((await readFile(join(top, String(i)))).equals(content)).toBe(true);
    }
  } finally {
    release.resolve();
    await hub.close();
    await rig.close();
    await rm(top, { recursive: true, force: true });
  }
});
