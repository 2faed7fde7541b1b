import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Source } from 'orbweaver';
import * as hubs from 'orbweaver/hub';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { readAll } from '../../src/http/index.js';
import { BUCKET_HOST } from './support/fake-hub.js';
import { createFakeRig, type FakeRig, random, sha256 } from './support/rig.js';

/** Files in several parts, for a Hub without a content-addressed store. */

const repo = 'org/repo';
const bytes = random(51, 300_001);

let top: string;
let rig: FakeRig;
let hub: hubs.Hub;
let box: string;
let count = 0;

beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), 'orbweaver-whole-'));
  rig = await createFakeRig();
});
afterAll(async () => {
  await hub?.close();
  await rig?.close();
  await rm(top, { recursive: true, force: true });
});
beforeEach(async () => {
  box = join(top, String(count++));
  await mkdir(box);
  rig.fresh();
  Object.assign(rig.fake.lfs, { transfer: 'multipart', hasStore: false });
  await hub?.close();
  hub = hubs.createHub(rig.options());
});

/** Where nobody can begin but at the begin. */
function inOrder(of: Uint8Array): Source & { opened: number } {
  const source = {
    name: 'in order',
    sizeBytes: of.length,
    reopenable: true,
    opened: 0,
    open: async () => {
      source.opened++;
      let at = 0;
      return {
        read: async (into: Uint8Array) => {
          const piece = of.subarray(at, at + into.length);
          into.set(piece);
          at += piece.length;
          return piece.length;
        },
        close: async () => {},
      };
    },
  };
  return source;
}

describe('the parts of a large file', () => {
  it.each([
    [
      'a path',
      async () => {
        const path = join(box, 'w.bin');
        await writeFile(path, bytes);
        return path;
      },
    ],
    ['bytes', async () => bytes],
    ['a Blob', async () => new Blob([Uint8Array.from(bytes)])],
  ] as const)('are sent side by side, each read as it goes: %s', async (_, contentOf) => {
    rig.fake.lfs.failures = 1;
    const seen: hubs.HubProgress[] = [];
    const onProgress = (progress: hubs.HubProgress) => void seen.push(progress);
    const files = [{ path: 'w.bin', content: await contentOf() }];
    const { failed, sentBytes } = await hub.uploadFiles(files, { repo, onProgress });
    expect([failed, sentBytes]).toEqual([[], bytes.length]);
    expect(rig.fake.lfs.whole.get(sha256(bytes))?.length).toBe(bytes.length);
    expect(rig.fake.lfs.mostPuts).toBeGreaterThan(1);
    const wire = seen.map(({ wireBytes }) => wireBytes);
    expect(wire).toEqual(wire.toSorted((a, b) => a - b));
    expect(wire.at(-1)).toBe(bytes.length);
  });

  it('are sent one by one where that was asked for', async () => {
    await hub.close();
    hub = hubs.createHub(rig.options({ concurrency: 1 }));
    await hub.uploadFiles([{ path: 'w.bin', content: bytes }], { repo });
    expect(rig.fake.lfs.mostPuts).toBe(1);
  });

  it('come one after another of what can only be read in order, and from the begin where one failed', async () => {
    const source = inOrder(bytes);
    await hub.uploadFiles([{ path: 'w.bin', content: source }], { repo });
    expect(rig.fake.lfs.mostPuts).toBe(1);
    // To tell text, to hash, and once for all parts.
    expect(source.opened).toBe(3);
    const other = random(52, 300_001);
    const again = inOrder(other);
    rig.fake.lfs.failures = 1;
    await hub.uploadFiles([{ path: 'w.bin', content: again }], { repo });
    expect(again.opened).toBe(4);
    expect(rig.fake.lfs.whole.has(sha256(other))).toBe(true);
  });

  it('end with the first that is refused, and the file is in no commit', async () => {
    let puts = 0;
    rig.fake.intercept = ({ method, url }) => {
      if (method !== 'PUT' || url.origin !== BUCKET_HOST) return null;
      puts++;
      return url.search === '?part=1' ? { status: 403, headers: {}, body: null } : null;
    };
    const other = { path: 'o.bin', content: random(53, 0) };
    const { failed, commits } = await hub.uploadFiles([{ path: 'w.bin', content: bytes }, other], {
      repo,
    });
    expect(failed).toMatchObject([{ path: 'w.bin', code: 'FORBIDDEN' }]);
    expect([puts <= 3, commits.length, rig.fake.lfs.whole.size]).toEqual([true, 1, 0]);
  });

  it('are not put together when the file was written to meanwhile', async () => {
    const path = join(box, 'w.bin');
    await writeFile(path, bytes);
    let isChanged = false;
    const { exchange } = rig.fake;
    const changing = hubs.createHub(
      rig.options({
        concurrency: 1,
        exchange: async (request) => {
          if (request.method === 'PUT' && request.url.search === '?part=2' && !isChanged) {
            isChanged = true;
            const body = await readAll(request.body, 1 << 20);
            await appendFile(path, 'more');
            return { status: 200, headers: { etag: `"${body.length}"` }, body: null };
          }
          return exchange(request);
        },
      }),
    );
    const { failed } = await changing.uploadFiles([{ path: 'w.bin', content: path }], { repo });
    await changing.close();
    expect(isChanged).toBe(true);
    expect(failed).toMatchObject([{ path: 'w.bin', code: 'INPUT_CHANGED' }]);
    expect(rig.fake.lfs.whole.size).toBe(0);
  });
});
