import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as hubs from 'orbweaver/hub';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { HttpRequest, HttpResponse } from '../../src/http/index.js';
import { error } from './support/fake-hub.js';
import { createFakeRig, type FakeRig, random, sha256 } from './support/rig.js';

/** A store that works at first, and then takes nothing any more. */

const repo = 'org/repo';

let top: string;
let rig: FakeRig;
let hub: hubs.Hub;
let state: string;
let count = 0;

beforeAll(async () => {
  top = await mkdtemp(join(tmpdir(), 'orbweaver-given-up-'));
  rig = await createFakeRig();
});
afterAll(async () => {
  await hub?.close();
  await rig?.close();
  await rm(top, { recursive: true, force: true });
});
beforeEach(async () => {
  state = join(top, String(count++));
  await mkdir(state);
  rig.fresh();
  rig.fake.lfs.transfer = 'basic';
  await hub?.close();
  hub = hubs.createHub(rig.options({ stateFolder: state }));
});

/** Answers requests to the store of one kind; counts all. */
function breakStore(path: string, answer: () => HttpResponse): { asked: number } {
  const seen = { asked: 0 };
  rig.fake.intercept = ({ url }: HttpRequest) => {
    if (/^\/(?:v1\/)?(?:xorbs|shards|chunks|reconstructions)/.test(url.pathname)) seen.asked++;
    return url.pathname.includes(path) ? answer() : null;
  };
  return seen;
}

let first: Uint8Array;
let second: Uint8Array;
let files: hubs.HubFile[];
beforeEach(() => {
  // What the store has from a test before is not sent to it.
  first = random(100 + count, 3_000_000);
  second = random(200 + count, 400_000);
  files = [
    { path: 'first.bin', content: first },
    { path: 'second.bin', content: second },
    { path: 'words.txt', content: new TextEncoder().encode('words') },
  ];
});

describe('a store that takes nothing any more', () => {
  it.each([
    ['refuses what the Hub has sent it', '/shards', 400, 'this repository is not for you'],
    ['refuses the token', '/xorbs', 403, 'no'],
    ['fails', '/xorbs', 503, 'later'],
    ['has no room', '/xorbs', 507, 'full'],
  ])(
    'and %s is given up, and large files go whole in the same commit',
    async (_, at, status, words) => {
      breakStore(at, () => error(status, words));
      const seen: hubs.HubProgress[] = [];
      const onProgress = (progress: hubs.HubProgress) => void seen.push(progress);
      const result = await hub.uploadFiles(files, { repo, onProgress });
      expect(result.failed).toEqual([]);
      expect(result.commits).toHaveLength(1);
      expect(result.storeGivenUp).toEqual(expect.stringContaining(String(status)));
      expect(
        result.files.map(({ path, how, sha256: of, fileHash }) => [path, how, of, fileHash]).sort(),
      ).toEqual([
        ['first.bin', 'stored', sha256(first), null],
        ['second.bin', 'stored', sha256(second), null],
        ['words.txt', 'inline', null, null],
      ]);
      expect([...rig.fake.lfs.whole.keys()].sort()).toEqual([sha256(first), sha256(second)].sort());
      expect(rig.warnings).toEqual([expect.stringContaining('given up for plain HTTP')]);
      const { doneBytes, totalBytes, doneFileCount, fileCount } = seen.at(-1) as hubs.HubProgress;
      expect([doneBytes, doneFileCount]).toEqual([totalBytes, fileCount]);
      // Nothing is left to go on with.
      expect((await readdir(state)).filter((name) => name !== 'files')).toEqual([]);
    },
  );

  it('is not asked again by this hub, and what was committed is not sent again', async () => {
    // The first file goes through the store, the way it should.
    rig.fake.lfs.transfer = 'xet';
    await rig.know(first);
    expect(await hub.uploadFiles(files.slice(0, 1), { repo })).not.toHaveProperty('storeGivenUp');
    rig.fake.lfs.transfer = 'basic';
    const store = breakStore('/xorbs', () => error(403, 'not any more'));
    const result = await hub.uploadFiles(files, { repo });
    expect(result.storeGivenUp).toContain('not any more');
    expect(result.files.map(({ path, how }) => [path, how]).sort()).toEqual([
      ['first.bin', 'unchanged'],
      ['second.bin', 'stored'],
      ['words.txt', 'inline'],
    ]);
    expect([...rig.fake.lfs.whole.keys()]).toEqual([sha256(second)]);
    const { asked } = store;
    const third = { path: 'third.bin', content: random(13, 50_000) };
    const later = await hub.uploadFiles([third], { repo });
    expect(later).toMatchObject({
      failed: [],
      storeGivenUp: expect.stringContaining('not any more'),
    });
    expect(store.asked).toBe(asked);
    expect(rig.warnings).toHaveLength(1);
  });

  it('is the failure where nothing else was wanted, or the Hub takes no whole files', async () => {
    breakStore('/shards', () => error(400, 'wrong shard'));
    const strict = hubs.createHub(rig.options({ transport: 'xet' }));
    const refused = { code: 'REJECTED', message: expect.stringContaining('wrong shard') };
    await expect(strict.uploadFiles(files, { repo })).rejects.toMatchObject(refused);
    await strict.close();
    rig.fake.lfs.transfer = null;
    await expect(hub.uploadFiles(files, { repo })).rejects.toMatchObject(refused);
    expect([rig.fake.commits, rig.fake.lfs.whole.size, rig.warnings]).toEqual([[], 0, []]);
  });

  it('is not given up for what is wrong with a file here', async () => {
    const missing = { path: 'missing.bin', content: join(state, 'none.bin') };
    const result = await hub.uploadFiles([...files, missing], { repo });
    expect(result).toMatchObject({ failed: [{ path: 'missing.bin', code: 'INPUT_NOT_FOUND' }] });
    expect(result).not.toHaveProperty('storeGivenUp');
    expect(rig.fake.lfs.whole.size).toBe(0);
  });
});
