import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type VolumeManifest, writeVolumes } from '../../src/compose/volumes.js';
import { targetVectors } from '../digests/vectors.js';
import { generate } from '../support/generators.js';

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Debian's package `7zip` has `7z` and `7zz`. */
const SEVEN_ZIP = ['7zz', '7z'].find((name) => spawnSync(name, ['i']).status === 0);

describe('volumes', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'orbweaver-volumes-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  const joined = async ({ volumes }: VolumeManifest): Promise<Buffer> =>
    Buffer.concat(await Promise.all(volumes.map(({ name }) => readFile(join(folder, name)))));

  for (const sizeBytes of [0, 1, 63, 64, 65, 999, 1000, 1001, 3_000_000]) {
    it(`as slices are ${sizeBytes} bytes again when they are joined`, async () => {
      const bytes = generate({ kind: 'splitmix64', seed: 1, bytes: sizeBytes });
      const volumeBytes = sizeBytes > 10_000 ? 1_234_567 : 64;
      const manifest = await writeVolumes({ name: 'a.bin', data: bytes }, { volumeBytes, folder });
      expect(Buffer.compare(await joined(manifest), bytes)).toBe(0);
      expect(manifest).toMatchObject({
        name: 'a.bin',
        sizeBytes,
        sha256: sha256(bytes),
        format: 'slices',
      });
      expect(manifest.volumes.length).toBe(Math.max(1, Math.ceil(sizeBytes / volumeBytes)));
      for (const [i, { name, sizeBytes: size, sha256: digest }] of manifest.volumes.entries()) {
        expect(name).toBe(`a.bin.${String(i + 1).padStart(3, '0')}`);
        const volume = await readFile(join(folder, name));
        expect([volume.length, sha256(volume)]).toEqual([size, digest]);
      }
      const written = JSON.parse(await readFile(join(folder, 'a.bin.volumes.json'), 'utf8'));
      expect(written).toEqual(manifest);
      expect((await readdir(folder)).length).toBe(manifest.volumes.length + 1);
    });
  }

  it('as 7z are the archive of the vectors, byte for byte', async () => {
    const {
      name,
      content_utf8,
      archive_hex,
      sha256: digest,
    } = targetVectors().cascade.sevenzip_store;
    for (const volumeBytes of [64, 95, 1000]) {
      const manifest = await writeVolumes(
        { name, data: new TextEncoder().encode(content_utf8) },
        { volumeBytes, folder, format: '7z' },
      );
      const archive = await joined(manifest);
      expect(archive.toString('hex')).toBe(archive_hex);
      expect(sha256(archive)).toBe(digest);
      for (const volume of manifest.volumes) {
        expect(sha256(await readFile(join(folder, volume.name)))).toBe(volume.sha256);
      }
    }
  });

  for (const [sizeBytes, volumeBytes, name] of [
    [0, 64, 'empty.bin'],
    [1, 64, 'one'],
    [1_000_000, 250_000, 'exactly four volumes, and a fifth for what stands around.bin'],
    [300_000_0, 777_777, 'ünïcödé 名前 😀.tar.gz'],
  ] as const) {
    it.skipIf(SEVEN_ZIP === undefined)(
      `as 7z open in 7-Zip (${sizeBytes} bytes by ${volumeBytes}); needs 7z or 7zz on the path`,
      async () => {
        const bytes = generate({ kind: 'floats', seed: 2, bytes: sizeBytes });
        const { volumes } = await writeVolumes(
          { name, data: bytes },
          { volumeBytes, folder, format: '7z' },
        );
        if (sizeBytes === 1_000_000) expect(volumes.length).toBe(5);
        const first = join(folder, volumes[0]?.name ?? '');
        const tested = execFileSync(SEVEN_ZIP as string, ['t', first], { encoding: 'utf8' });
        expect(tested).toContain('Everything is Ok');
        if (volumes.length > 1) expect(tested).toMatch(/Type = Split/);
        const out = join(folder, 'out');
        execFileSync(SEVEN_ZIP as string, ['x', `-o${out}`, first]);
        expect(Buffer.compare(await readFile(join(out, name)), bytes)).toBe(0);
      },
    );
  }

  it('come from a stream of unknown length, too', async () => {
    const bytes = generate({ kind: 'words', seed: 3, bytes: 200_000 });
    const data = Readable.from([bytes.subarray(0, 77_777), bytes.subarray(77_777)]);
    const manifest = await writeVolumes({ name: 's', data }, { volumeBytes: 65_536, folder });
    expect(Buffer.compare(await joined(manifest), bytes)).toBe(0);
  });

  it('leave no volume half written when the source breaks', async () => {
    const data = (async function* () {
      yield new Uint8Array(300_000);
      throw new Error('broken');
    })();
    const failing = writeVolumes(
      { name: 's', data },
      { volumeBytes: 64_000, folder, format: '7z' },
    );
    await expect(failing).rejects.toMatchObject({ code: 'INPUT_UNREADABLE' });
    expect(await readdir(folder)).toEqual([]);
  });

  it('refuse sizes that cannot be, and names that leave the folder', async () => {
    await writeFile(join(folder, 'f'), 'x');
    const options = { folder, volumeBytes: 63 };
    await expect(writeVolumes(join(folder, 'f'), options)).rejects.toThrow(RangeError);
    const named = { name: '../evil', data: new Uint8Array(3) };
    for (const format of ['slices', '7z'] as const) {
      const made = await writeVolumes(named, { folder, volumeBytes: 64, format });
      expect(made.name).toBe('evil');
    }
  });
});
