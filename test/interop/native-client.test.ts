import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient, createLimits, type OrbweaverClient } from 'orbweaver';
import { type RunningGateway, startGateway } from 'orbweaver/gateway';
import { listTransfers } from 'orbweaver/targets';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type GeneratorSpec, generate } from '../support/generators.js';
import { type NativeFile, nativeDownload, nativeUpload } from './native.js';

/** Sizes and kinds that meet every boundary: empty, tiny, minimum, past the maximum, several xorbs. */
const INPUTS: readonly { readonly name: string; readonly spec: GeneratorSpec }[] = [
  { name: 'empty', spec: { kind: 'splitmix64', seed: 1, bytes: 0 } },
  { name: 'one-byte', spec: { kind: 'splitmix64', seed: 1, bytes: 1 } },
  { name: 'minimum', spec: { kind: 'splitmix64', seed: 2, bytes: 8192 } },
  { name: 'past-the-maximum', spec: { kind: 'constant', value: 7, bytes: 131_073 } },
  { name: 'several-xorbs', spec: { kind: 'splitmix64', seed: 3, bytes: 150_000_000 } },
  { name: 'text', spec: { kind: 'words', seed: 4, bytes: 20_000_000 } },
  { name: 'floats', spec: { kind: 'floats', seed: 5, bytes: 20_000_000 } },
];

/** A copy with bytes inserted in the middle and removed near the end: its first chunk is the same. */
function edited(original: Uint8Array): Uint8Array {
  const middle = Math.floor(original.length / 2);
  const late = Math.floor(original.length * 0.9);
  return Buffer.concat([
    original.subarray(0, middle),
    generate({ kind: 'splitmix64', seed: 99, bytes: 777 }),
    original.subarray(middle, late),
    original.subarray(late + 555),
  ]);
}

/** Its digest; for an empty file the native client reports 64 zeros, which is no SHA-256. */
function sha256Of(file: NativeFile): string {
  return file.sizeBytes === 0 ? createHash('sha256').digest('hex') : file.sha256;
}

describe('with the native client', () => {
  let folder: string;
  let gateway: RunningGateway;
  let client: OrbweaverClient;
  let xorbUploads = 0;
  /** Xorbs that were put by upload grants, which the native client asks for first. */
  let grantedUploads = 0;
  let onXorb = (): void => {};
  const paths = new Map<string, string>();

  const fresh = async (): Promise<void> => {
    await client?.close();
    await gateway?.close();
    gateway = await startGateway({
      data: await mkdtemp(join(folder, 'store-')),
      port: 0,
      onAccess: ({ method, path }) => {
        if (method === 'POST' && path.startsWith('/v1/xorbs/')) {
          xorbUploads++;
          onXorb();
        }
        if (method === 'PUT' && path.startsWith('/v1/xorb-uploads/')) grantedUploads++;
      },
    });
    client = await createClient({ endpoint: gateway.url, token: gateway.writeToken });
    xorbUploads = 0;
    grantedUploads = 0;
  };
  const target = (): { endpoint: string; token: string } => ({
    endpoint: gateway.url,
    token: gateway.writeToken,
  });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'orbweaver-interop-'));
    for (const { name, spec } of INPUTS) {
      const path = join(folder, name);
      const bytes = generate(spec);
      await writeFile(path, bytes);
      paths.set(name, path);
      if (name === 'several-xorbs') {
        const copy = join(folder, 'edited-copy');
        await writeFile(copy, edited(bytes));
        paths.set('edited-copy', copy);
      }
    }
  }, 60_000);

  afterAll(async () => {
    await client?.close();
    await gateway?.close();
    await rm(folder, { recursive: true, force: true });
  });

  const all = (): string[] => [...paths.values()];

  it('it uploads, orbweaver downloads, and a repeat by orbweaver sends no xorb', async () => {
    await fresh();
    const files = await nativeUpload(target(), all());
    // All its bytes went by upload grants.
    expect(grantedUploads).toBeGreaterThan(3);
    expect(xorbUploads).toBe(0);
    const out = join(folder, 'ours.out');
    for (const [index, path] of all().entries()) {
      const file = files[index];
      if (file === undefined) throw new Error(`no result for ${path}`);
      const result = await client.download(file.hash, { to: out });
      const original = await readFile(path);
      expect(result.sizeBytes).toBe(original.length);
      expect(original.equals(await readFile(out))).toBe(true);
    }
    xorbUploads = 0;
    const repeat = await client.upload(all(), { sha256: true });
    expect(repeat.failed).toEqual([]);
    expect(repeat.files.map((file) => [file.fileHash, file.sha256])).toEqual(
      files.map((file) => [file.hash, sha256Of(file)]),
    );
    expect(repeat.xorbCount).toBe(0);
    expect(xorbUploads).toBe(0);
  });

  it('downloads what orbweaver has edited and appended to, byte for byte', async () => {
    await fresh();
    const path = paths.get('several-xorbs') as string;
    const [uploaded] = await nativeUpload(target(), [path]);
    const original = await readFile(path);
    const insert = generate({ kind: 'splitmix64', seed: 98, bytes: 1_000_000 });
    const hash = uploaded?.hash as string;
    const inserted = await client.edit(hash, [{ offset: 77_000_000, deleteBytes: 500, insert }]);
    const appended = await client.append(hash, insert);
    for (const { readBytes, sentBytes, wasReadBack } of [inserted, appended]) {
      expect(wasReadBack).toBe(false);
      expect(readBytes).toBeLessThan(4 * 1024 * 1024);
      expect(sentBytes).toBeLessThan(2 * 1024 * 1024);
    }
    const files = [inserted, appended].map(({ fileHash, sizeBytes }, i) => ({
      hash: fileHash,
      sizeBytes,
      path: join(folder, `native-edited-${i}.out`),
    }));
    await nativeDownload(target(), files);
    const expected = [
      Buffer.concat([original.subarray(0, 77_000_000), insert, original.subarray(77_000_500)]),
      Buffer.concat([original, insert]),
    ];
    for (const [i, bytes] of expected.entries()) {
      expect(bytes.equals(await readFile(files[i]?.path as string))).toBe(true);
    }
    // And it gives the edited file the same hash.
    await writeFile(join(folder, 'edited'), expected[0] as Buffer);
    const [again] = await nativeUpload(target(), [join(folder, 'edited')]);
    expect(again?.hash).toBe(inserted.fileHash);
  });

  it('downloads what orbweaver uploaded in two runs, and the manifest of a folder', async () => {
    await fresh();
    const stateFolder = join(folder, 'state');
    const limits = createLimits();
    const { url: endpoint, writeToken: token } = gateway;
    const options = { endpoint, token, stateFolder, limits, grants: 'never' as const };
    const ours = await createClient(options);
    const path = paths.get('several-xorbs') as string;
    const stop = new AbortController();
    // Nothing follows the first xorb before the run is cut off.
    onXorb = () => {
      limits.upload = 1;
    };
    const upload = { maxXorbBytes: 8 << 20 };
    const cut = ours.upload([path], { ...upload, signal: stop.signal }).catch(() => null);
    while (!(await listTransfers(stateFolder)).some((one) => 'doneBytes' in one && one.doneBytes)) {
      await sleep(5);
    }
    onXorb = () => {};
    stop.abort();
    expect(await cut).toBeNull();
    limits.upload = Number.POSITIVE_INFINITY;
    const [file] = (await ours.upload([path], upload)).files;
    const { manifestHash, manifestBytes } = await ours.uploadFolder(dirname(path), {
      files: ['minimum', 'text'],
    });
    await ours.downloadFolder(manifestHash, { to: join(folder, 'restored') });
    await ours.close();
    const out = [join(folder, 'resumed.out'), join(folder, 'manifest.out')] as const;
    await nativeDownload(target(), [
      { hash: file?.fileHash ?? '', sizeBytes: file?.sizeBytes ?? 0, path: out[0] },
      { hash: manifestHash, sizeBytes: manifestBytes, path: out[1] },
    ]);
    expect((await readFile(path)).equals(await readFile(out[0]))).toBe(true);
    expect(await readFile(out[1], 'utf8')).toMatch(/^\{"format":"orbweaver-folder"/);
    const restored = [join(folder, 'restored', 'minimum'), join(folder, 'restored', 'text')];
    const again = await nativeUpload(target(), restored);
    const known = await nativeUpload(
      target(),
      ['minimum', 'text'].map((name) => paths.get(name) as string),
    );
    expect(again.map(({ hash }) => hash)).toEqual(known.map(({ hash }) => hash));
  });

  it('orbweaver uploads, it downloads, and a repeat by it sends no xorb', async () => {
    await fresh();
    const ours = await client.upload(all(), { sha256: true });
    expect(ours.failed).toEqual([]);
    const wanted = ours.files.map((file, index) => ({
      hash: file.fileHash,
      sizeBytes: file.sizeBytes,
      path: join(folder, `native-${index}.out`),
    }));
    await nativeDownload(target(), wanted);
    for (const [index, path] of all().entries()) {
      const file = wanted[index];
      if (file === undefined) throw new Error(`no result for ${path}`);
      // The native client makes no file for an empty one in every version: an absent one is empty.
      const rebuilt = await readFile(file.path).catch(() => Buffer.alloc(0));
      expect((await readFile(path)).equals(rebuilt), path).toBe(true);
    }
    xorbUploads = 0;
    const repeat = await nativeUpload(target(), all());
    expect(repeat.map((file) => file.hash)).toEqual(ours.files.map((file) => file.fileHash));
    expect(repeat.map(sha256Of)).toEqual(ours.files.map((file) => file.sha256));
    expect(xorbUploads + grantedUploads).toBe(0);
  });

  it('an edited copy costs orbweaver only the changed chunks of what it uploaded', async () => {
    await fresh();
    await nativeUpload(target(), [paths.get('several-xorbs') as string]);
    const [file] = (await client.upload([paths.get('edited-copy') as string])).files;
    expect(file?.newBytes).toBeLessThan(1_000_000);
    const out = join(folder, 'native-edited.out');
    await nativeDownload(target(), [
      { hash: file?.fileHash ?? '', sizeBytes: file?.sizeBytes ?? 0, path: out },
    ]);
    const original = await readFile(paths.get('edited-copy') as string);
    expect(original.equals(await readFile(out))).toBe(true);
  });
});
