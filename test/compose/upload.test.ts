import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { createClient } from '../../src/compose/client.js';
import type { OrbweaverClient, UploadedFile } from '../../src/compose/client-types.js';
import type { UploadInput } from '../../src/compose/input.js';
import { uploadToTarget } from '../../src/compose/targets.js';
import { random } from '../client/upload/support.js';

let dir: string;
const clients: OrbweaverClient[] = [];
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orbweaver-upload-'));
});
afterAll(() => rm(dir, { recursive: true }));
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});

async function client(): Promise<OrbweaverClient> {
  const made = await createClient({ endpoint: null, workers: 0 });
  clients.push(made);
  return made;
}

const dryRun = { dryRun: true };
const refusing = (): Promise<never> => Promise.reject(new Error('nothing is to be sent'));

describe('inputs of an upload', () => {
  it.each([
    [42, 'number'],
    [null, 'null'],
    [{}, 'object'],
    [{ data: 7, name: 'x' }, 'number'],
    [new URL('https://example.org/x'), 'https: URL'],
    [undefined, 'undefined'],
  ])('that are none are refused before anything is read: %o', async (input, kind) => {
    const inputs = [new Uint8Array(1), input as UploadInput];
    const uploading = (await client()).upload(inputs, dryRun);
    await expect(uploading).rejects.toThrow(TypeError);
    await expect(uploading).rejects.toThrow(
      new RegExp(`^"inputs\\[1\\]" expected a path, file: URL, .*, got ${kind}$`),
    );
  });

  it('may be one path alone, which is no list of characters', async () => {
    const path = join(dir, 'ab');
    await writeFile(path, random(2, 100));
    const { files, failed } = await (await client()).upload(path, dryRun);
    expect([files.map((file) => file.path), failed]).toEqual([[path], []]);
    const options = { to: 'multipart:http://127.0.0.1:1', exchange: refusing };
    expect(await uploadToTarget(join(dir, 'none'), options)).toMatchObject([
      { path: join(dir, 'none'), error: { code: 'INPUT_NOT_FOUND' } },
    ]);
    await expect(uploadToTarget(7 as unknown as string, options)).rejects.toThrow(/"inputs\[0\]"/);
    await expect(
      uploadToTarget(path, { ...options, tokn: 'x' } as object as typeof options),
    ).rejects.toThrow(/^"tokn" is no option of uploadToTarget/);
  });

  it('may be file: URLs, with a name or without', async () => {
    const path = join(dir, 'a file.bin');
    await writeFile(path, random(1, 5000));
    const url = pathToFileURL(path);
    const uploader = await client();
    const { files, failed } = await uploader.upload([path, url, { data: url, name: 'b' }], dryRun);
    expect(failed).toEqual([]);
    expect(files.map((file) => file.path)).toEqual([path, path, 'b']);
    expect(new Set(files.map(({ fileHash }) => fileHash)).size).toBe(1);
    const missing = await uploader.upload(pathToFileURL(join(dir, 'none')), dryRun);
    expect(missing.failed).toMatchObject([{ path: join(dir, 'none'), code: 'INPUT_NOT_FOUND' }]);
  });
});

describe('options of an upload', () => {
  it('that do not exist, or are of the wrong kind, are refused', async () => {
    const uploader = await client();
    const upload = (options: object) =>
      uploader.upload(new Uint8Array(1), { ...dryRun, ...options });
    await expect(upload({ sha265: true })).rejects.toThrow(
      /^"sha265" is no option of upload, which takes sha256/,
    );
    await expect(upload({ sha256: 'yes' })).rejects.toThrow(/"sha256" expected true or false/);
    await expect(upload({ signal: 5 })).rejects.toThrow(/"signal" expected an AbortSignal/);
    await expect(upload({ onProgress: 5 })).rejects.toThrow(/"onProgress" expected a function/);
  });
});

describe('a shard cache', () => {
  const open = async (shardCacheDir: string, more: object = {}): Promise<OrbweaverClient> => {
    const endpoint = 'http://127.0.0.1:1';
    const made = await createClient({ workers: 0, endpoint, shardCacheDir, ...more });
    clients.push(made);
    return made;
  };

  it('that cannot be used is none, and the client says why', async () => {
    const plain = join(dir, 'plain');
    await writeFile(plain, '');
    const without = await open(join(plain, 'cache'));
    expect(without.cacheProblem).toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
    expect(without.cacheProblem?.message).toContain(plain);
    expect((await open(join(dir, 'cache'))).cacheProblem).toBeNull();
    expect((await client()).cacheProblem).toBeNull();
  });

  it('has a size that is checked', async () => {
    await expect(open(join(dir, 'cache'), { shardCacheBytes: -1 })).rejects.toThrow(RangeError);
  });
});

describe('a closed client', () => {
  it('takes no upload', async () => {
    const uploader = await client();
    await uploader.close();
    for (const inputs of [[], new Uint8Array(1), join(dir, 'none')]) {
      await expect(uploader.upload(inputs, dryRun)).rejects.toMatchObject({ code: 'CLOSED' });
    }
  });

  it('ends the uploads that are under way, which are not done with failed files', async () => {
    const uploader = await client();
    async function* slowly(): AsyncGenerator<Uint8Array> {
      yield random(1, 100_000);
      await uploader.close();
      yield random(2, 100_000);
    }
    const inputs = [slowly(), random(3, 3_000_000), random(4, 3_000_000)];
    await expect(uploader.upload(inputs, dryRun)).rejects.toMatchObject({ code: 'CLOSED' });
  });
});

describe('an estimate', () => {
  it('counts what files share for the first of them', async () => {
    const paths = ['a', 'b', 'c'].map((name) => join(dir, name));
    const bytes = random(5, 1_000_000);
    for (const path of paths) await writeFile(path, bytes);
    const uploader = await client();
    for (let round = 0; round < 3; round++) {
      const { files } = await uploader.upload(paths, dryRun);
      expect(files.map(({ newBytes }) => newBytes)).toEqual([bytes.length, 0, 0]);
    }
  });
});

describe('listeners of an upload', () => {
  it('get files one by one, and may fail', async () => {
    const uploader = await client();
    const inputs = [random(1, 10), random(2, 10)].map((data, i) => ({ data, name: `${i}` }));
    const seen: UploadedFile[] = [];
    const result = await uploader.upload(inputs, { ...dryRun, onFile: (file) => seen.push(file) });
    expect(result.files).toEqual([]);
    expect(seen.map(({ path }) => path)).toEqual(['0', '1']);
    expect((await uploader.upload(inputs, dryRun)).files).toEqual(seen);
    const onProgress = (): never => {
      throw new Error('no window');
    };
    const other = await uploader.upload(inputs, { ...dryRun, onProgress });
    expect(other.files).toEqual(seen);
    expect(other.failed).toEqual([]);
    expect(other.listenerError?.message).toBe('no window');
  });

  it('of one input is cancelled by the signal of that input', async () => {
    const uploader = await client();
    const own = new AbortController();
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield new Uint8Array(10);
      own.abort();
      await new Promise(() => {});
    }
    const inputs = [{ name: 'slow', data: endless(), signal: own.signal }, new Uint8Array(20)];
    const { files, failed } = await uploader.upload(inputs, dryRun);
    expect(failed).toMatchObject([{ path: 'slow', code: 'ABORTED' }]);
    expect(files).toMatchObject([{ sizeBytes: 20 }]);
  });
});
