import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { unzipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { createZipWriter, type ZipWriterOptions } from '../../src/archive/index.js';
import { generate } from '../support/generators.js';

interface Written {
  readonly bytes: Uint8Array;
  readonly entryCount: number;
}

/** Writes files in pieces that are overwritten as soon as the writer is done with them. */
async function writeZip(
  files: Readonly<Record<string, Uint8Array>>,
  options: Partial<ZipWriterOptions> = {},
  pieceBytes = 100_000,
): Promise<Written> {
  const out: Uint8Array[] = [];
  const zip = createZipWriter({
    write: async (bytes) => {
      await Promise.resolve();
      out.push(bytes.slice());
    },
    ...options,
  });
  for (const [name, bytes] of Object.entries(files)) {
    const sink = zip.entry(name);
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      const piece = bytes.slice(at, at + pieceBytes);
      await sink.write(piece, at);
      piece.fill(0xee);
    }
    await sink.commit(bytes.length);
  }
  const { sizeBytes, entryCount } = await zip.finish();
  const bytes = Buffer.concat(out);
  expect(bytes.length).toBe(sizeBytes);
  return { bytes: new Uint8Array(bytes), entryCount };
}

const FILES = {
  'empty.bin': new Uint8Array(0),
  'one.bin': new Uint8Array([7]),
  'folder/random.bin': generate({ kind: 'splitmix64', seed: 1, bytes: 300_000 }),
  'folder/words.txt': generate({ kind: 'words', seed: 2, bytes: 200_001 }),
  'block.bin': generate({ kind: 'splitmix64', seed: 3, bytes: 65_535 }),
  'Grüße 日本.txt': generate({ kind: 'words', seed: 4, bytes: 5000 }),
};

const hasUnzip = spawnSync('unzip', ['-v']).status === 0;
const hasPython = spawnSync('python3', ['-c', 'import zipfile']).status === 0;

describe('createZipWriter', () => {
  it.each([1000, 65_534, 65_535, 65_536, 262_140, 262_141, 1_000_000])(
    'makes the same archive of pieces of %i bytes, in just as much room',
    async (pieceBytes) => {
      const { bytes } = await writeZip(FILES);
      const again = await writeZip(FILES, { maxBytes: bytes.length }, pieceBytes);
      expect(Buffer.from(again.bytes).equals(bytes)).toBe(true);
      const tooSmall = writeZip(FILES, { maxBytes: bytes.length - 1 }, pieceBytes);
      await expect(tooSmall).rejects.toMatchObject({ code: 'ZIP_TOO_LARGE' });
    },
  );

  it('makes archives that fflate reads back, stored and deflated', async () => {
    for (const compression of ['store', 'deflate'] as const) {
      const { bytes, entryCount } = await writeZip(FILES, { compression });
      expect(entryCount).toBe(Object.keys(FILES).length);
      const back = unzipSync(bytes);
      expect(Object.keys(back)).toEqual(Object.keys(FILES));
      for (const [name, content] of Object.entries(FILES)) {
        expect(Buffer.compare(back[name] as Uint8Array, content)).toBe(0);
      }
    }
  });

  it('makes the same archive of the same files at any time', async () => {
    const [first, second] = [await writeZip(FILES), await writeZip(FILES)];
    expect(Buffer.compare(first.bytes, second.bytes)).toBe(0);
    const dated = await writeZip(FILES, { modifiedAt: new Date(2020, 5, 1) });
    expect(dated.bytes.length).toBe(first.bytes.length);
    expect(Buffer.compare(dated.bytes, first.bytes)).not.toBe(0);
  });

  for (const compression of ['store', 'deflate'] as const) {
    it.skipIf(!hasUnzip)(`passes "unzip -t" (${compression}; skipped without unzip)`, async () => {
      const dir = mkdtempSync(join(tmpdir(), 'orbweaver-zip-'));
      try {
        const path = join(dir, 'a.zip');
        writeFileSync(path, (await writeZip(FILES, { compression })).bytes);
        const text = execFileSync('unzip', ['-tqq', path], { encoding: 'utf8' });
        expect(text).toBe('');
        execFileSync('unzip', ['-qq', path, 'folder/*', '-d', dir]);
        const back = readFileSync(join(dir, 'folder/random.bin'));
        expect(Buffer.compare(back, FILES['folder/random.bin'])).toBe(0);
      } finally {
        rmSync(dir, { recursive: true });
      }
    });

    it.skipIf(!hasPython)(
      `passes zipfile.testzip (${compression}; skipped without Python)`,
      async () => {
        const dir = mkdtempSync(join(tmpdir(), 'orbweaver-zip-'));
        try {
          const path = join(dir, 'a.zip');
          writeFileSync(path, (await writeZip(FILES, { compression })).bytes);
          const script =
            'import sys,zipfile; z=zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; print(len(z.namelist()))';
          const text = execFileSync('python3', ['-c', script, path], { encoding: 'utf8' });
          expect(text.trim()).toBe(String(Object.keys(FILES).length));
        } finally {
          rmSync(dir, { recursive: true });
        }
      },
    );
  }

  it('makes an archive of nothing', async () => {
    const { bytes } = await writeZip({});
    expect(bytes.length).toBe(22);
    expect(unzipSync(bytes)).toEqual({});
  });

  it('refuses names that are unsafe, or the same but for case', async () => {
    const zip = createZipWriter({ write: async () => {} });
    for (const name of ['../a', '/a', 'a\\b', 'C:a', '', 'nul.txt']) {
      expect(() => zip.entry(name)).toThrowError(expect.objectContaining({ code: 'UNSAFE_PATH' }));
    }
    await zip.entry('a/B').commit(0);
    for (const name of ['A/b', 'a', 'a/b/c']) {
      expect(() => zip.entry(name)).toThrowError(expect.objectContaining({ code: 'UNSAFE_PATH' }));
    }
    await zip.entry('a/c').commit(0);
    expect((await zip.finish()).entryCount).toBe(2);
  });

  it('refuses what would pass maxBytes before anything of the entry is written', async () => {
    let written = 0;
    const zip = createZipWriter({
      maxBytes: 2 ** 32,
      write: async (bytes) => {
        written += bytes.length;
      },
    });
    const sink = zip.entry('big.bin');
    await expect(sink.prepare?.(2 ** 32)).rejects.toMatchObject({ code: 'ZIP_TOO_LARGE' });
    expect(written).toBe(0);
    await sink.prepare?.(2 ** 31);
  });

  it('refuses the write that would pass the limit before it is written, and finishes up to it', async () => {
    const content = generate({ kind: 'splitmix64', seed: 9, bytes: 300_000 });
    const { bytes } = await writeZip({ a: content, b: content });
    const exact = await writeZip({ a: content, b: content }, { maxBytes: bytes.length });
    expect(exact.bytes.length).toBe(bytes.length);

    let written = 0;
    const zip = createZipWriter({
      maxBytes: bytes.length - 100,
      write: async (piece) => {
        written += piece.length;
      },
    });
    const first = zip.entry('a');
    await first.write(content, 0);
    await first.commit(content.length);
    const before = written;
    const second = zip.entry('b');
    await expect(second.write(content, 0)).rejects.toMatchObject({ code: 'ZIP_TOO_LARGE' });
    expect(written).toBe(before);
  });

  it('is unusable after an entry was given up, had a wrong size, or the output failed', async () => {
    const closed = expect.objectContaining({ code: 'CLOSED' });
    const givenUp = createZipWriter({ write: async () => {} });
    await givenUp.entry('a').abort();
    expect(() => givenUp.entry('b')).toThrowError(closed);
    await expect(givenUp.finish()).rejects.toEqual(closed);

    const wrong = createZipWriter({ write: async () => {} });
    await expect(wrong.entry('a').commit(1)).rejects.toMatchObject({ code: 'SIZE_MISMATCH' });
    await expect(wrong.finish()).rejects.toEqual(closed);

    const full = createZipWriter({
      write: async () => {
        throw new Error('disk full');
      },
    });
    const sink = full.entry('a');
    await expect(sink.write(new Uint8Array(10), 0)).rejects.toThrow('disk full');
    await expect(full.finish()).rejects.toEqual(closed);
  });

  it('takes one entry at a time, in order', async () => {
    const zip = createZipWriter({ write: async () => {} });
    const sink = zip.entry('a');
    expect(() => zip.entry('b')).toThrowError(expect.objectContaining({ code: 'CLOSED' }));
    await expect(zip.finish()).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(sink.write(new Uint8Array(1), 5)).rejects.toThrow(RangeError);
    await sink.commit(0);
    await expect(sink.write(new Uint8Array(1), 0)).rejects.toMatchObject({ code: 'CLOSED' });
  });
});
