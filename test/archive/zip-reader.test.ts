import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import {
  createZipWriter,
  readZipEntries,
  readZipStream,
  type ZipLimits,
} from '../../src/archive/index.js';
import type { Source, SourceReader } from '../../src/client/ports.js';
import { isOrbweaverError } from '../../src/errors.js';
import { bytesRandomAccess, bytesSource, streamSource } from '../../src/io/index.js';
import { generate } from '../support/generators.js';

const FILES: Readonly<Record<string, Uint8Array>> = {
  'empty.bin': new Uint8Array(0),
  'folder/random.bin': generate({ kind: 'splitmix64', seed: 1, bytes: 150_000 }),
  'folder/words.txt': generate({ kind: 'words', seed: 2, bytes: 120_001 }),
  'zeros.bin': new Uint8Array(90_000),
  'Grüße 日本.txt': generate({ kind: 'words', seed: 4, bytes: 5000 }),
};

async function readAll(source: Source, step = 7000): Promise<Uint8Array> {
  const reader = await source.open();
  const parts: Uint8Array[] = [];
  try {
    for (;;) {
      const into = new Uint8Array(step);
      const length = await reader.read(into);
      if (length === 0) break;
      parts.push(into.subarray(0, length));
    }
    expect(await reader.read(new Uint8Array(9))).toBe(0);
  } finally {
    await reader.close();
  }
  return new Uint8Array(Buffer.concat(parts));
}

async function readSeekable(
  zip: Uint8Array,
  limits?: Partial<ZipLimits>,
): Promise<Record<string, Uint8Array>> {
  const out: Record<string, Uint8Array> = {};
  for (const entry of await readZipEntries(bytesRandomAccess(zip, 'test.zip'), limits)) {
    out[entry.name] = await readAll(entry);
    expect(out[entry.name]?.length).toBe(entry.sizeBytes);
  }
  return out;
}

async function readStreamed(
  zip: Uint8Array,
  limits?: Partial<ZipLimits>,
  reader?: SourceReader,
): Promise<Record<string, Uint8Array>> {
  const out: Record<string, Uint8Array> = {};
  const from = reader ?? (await bytesSource(zip).open());
  for await (const entry of readZipStream(from, 'test.zip', limits)) {
    out[entry.name] = await readAll(entry);
  }
  return out;
}

/** Deep equality of the runner is slow on bytes. */
function expectFiles(
  got: Readonly<Record<string, Uint8Array>>,
  expected: Readonly<Record<string, Uint8Array | undefined>>,
): void {
  expect(Object.keys(got)).toEqual(Object.keys(expected));
  for (const [name, bytes] of Object.entries(expected)) {
    expect(Buffer.compare(got[name] as Uint8Array, bytes as Uint8Array), name).toBe(0);
  }
}

async function ourZip(files: Readonly<Record<string, Uint8Array>>): Promise<Uint8Array> {
  const out: Uint8Array[] = [];
  const zip = createZipWriter({ write: async (bytes) => void out.push(bytes.slice()) });
  for (const [name, bytes] of Object.entries(files)) {
    const sink = zip.entry(name);
    await sink.write(bytes, 0);
    await sink.commit(bytes.length);
  }
  await zip.finish();
  return new Uint8Array(Buffer.concat(out));
}

/** A stored entry and a directory, with every field open to change. */
function handMade(
  changes: {
    name?: string;
    localName?: string;
    flags?: number;
    method?: number;
    data?: Uint8Array;
    crc?: number;
    size?: number;
    compressed?: number;
    madeBy?: number;
    attributes?: number;
    disk?: number;
    copies?: number;
    count?: number;
    comment?: string;
    endDisk?: number;
  } = {},
): Uint8Array {
  const data = changes.data ?? new TextEncoder().encode('hello');
  const name = Buffer.from(changes.name ?? 'a.txt', 'utf8');
  const localName = Buffer.from(changes.localName ?? changes.name ?? 'a.txt', 'utf8');
  const local = Buffer.alloc(30);
  local.writeUInt32LE(0x04034b50, 0);
  local.writeUInt16LE(20, 4);
  local.writeUInt16LE(changes.flags ?? 0, 6);
  local.writeUInt16LE(changes.method ?? 0, 8);
  local.writeUInt32LE(changes.crc ?? 0x3610a686, 14);
  local.writeUInt32LE(changes.compressed ?? data.length, 18);
  local.writeUInt32LE(changes.size ?? data.length, 22);
  local.writeUInt16LE(localName.length, 26);
  const record = Buffer.alloc(46);
  record.writeUInt32LE(0x02014b50, 0);
  record.writeUInt16LE(((changes.madeBy ?? 0) << 8) | 20, 4);
  local.copy(record, 6, 4, 30);
  record.writeUInt16LE(name.length, 28);
  record.writeUInt16LE(0, 30);
  record.writeUInt16LE(changes.disk ?? 0, 34);
  record.writeUInt32LE(changes.attributes ?? 0, 38);
  const copies = changes.copies ?? 1;
  const body = Buffer.concat([local, localName, data]);
  const directory = Buffer.concat(Array.from({ length: copies }, () => [record, name]).flat());
  const end = Buffer.alloc(22);
  const comment = Buffer.from(changes.comment ?? '');
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(changes.endDisk ?? 0, 4);
  end.writeUInt16LE(changes.count ?? copies, 8);
  end.writeUInt16LE(changes.count ?? copies, 10);
  end.writeUInt32LE(directory.length, 12);
  end.writeUInt32LE(body.length, 16);
  end.writeUInt16LE(comment.length, 20);
  return new Uint8Array(Buffer.concat([body, directory, end, comment]));
}

const hasZip = spawnSync('zip', ['-v']).status === 0;

describe('readZipEntries and readZipStream', () => {
  it('read what fflate wrote, stored and deflated', async () => {
    for (const level of [0, 6] as const) {
      const zip = zipSync(FILES, { level });
      expectFiles(await readSeekable(zip), FILES);
      expectFiles(await readStreamed(zip), FILES);
    }
  });

  it('read what our writer wrote, whose sizes come behind the data, in any pieces', async () => {
    const zip = await ourZip(FILES);
    expectFiles(await readSeekable(zip), FILES);
    for (const step of [1, 13, 1000, 65_536]) {
      const pieces = (async function* () {
        const from = step === 1 ? zip.length - 3000 : 0;
        if (from > 0) yield zip.subarray(0, from);
        for (let at = from; at < zip.length; at += step) yield zip.subarray(at, at + step);
      })();
      const reader = await streamSource(pieces).open();
      expectFiles(await readStreamed(zip, {}, reader), FILES);
    }
  });

  it.skipIf(!hasZip)('read what Info-ZIP wrote, also to a pipe (skipped without zip)', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'orbweaver-zip-'));
    try {
      writeFileSync(join(dir, 'a.txt'), FILES['folder/words.txt'] as Uint8Array);
      writeFileSync(join(dir, 'b.bin'), FILES['folder/random.bin'] as Uint8Array);
      const options = { cwd: dir, maxBuffer: 1 << 24 };
      execFileSync('zip', ['-q', 'seek.zip', 'a.txt', 'b.bin'], options);
      const expected = { 'a.txt': FILES['folder/words.txt'], 'b.bin': FILES['folder/random.bin'] };
      expectFiles(
        await readSeekable(new Uint8Array(readFileSync(join(dir, 'seek.zip')))),
        expected,
      );
      expectFiles(
        await readStreamed(new Uint8Array(readFileSync(join(dir, 'seek.zip')))),
        expected,
      );
    } finally {
      rmSync(dir, { recursive: true });
    }
  });

  it('skip entries that nobody reads, and folders', async () => {
    const zip = zipSync({ 'a/': new Uint8Array(0), 'a/b': FILES['zeros.bin'] as Uint8Array });
    const names: string[] = [];
    for await (const entry of readZipStream(await bytesSource(zip).open())) names.push(entry.name);
    expect(names).toEqual(['a/b']);
    expect(Object.keys(await readSeekable(zip))).toEqual(['a/b']);
  });

  it('let an entry of a file be read twice, and one of a stream once and in time', async () => {
    const zip = zipSync({ a: FILES['zeros.bin'] as Uint8Array, b: new Uint8Array(1) });
    const [entry] = await readZipEntries(bytesRandomAccess(zip));
    if (entry === undefined) throw new Error('no entry');
    expectFiles({ a: await readAll(entry) }, { a: await readAll(entry) });
    const stream = readZipStream(await bytesSource(zip).open());
    const first = (await stream.next()).value as Source;
    const reader = await first.open();
    await expect(first.open()).rejects.toMatchObject({ code: 'CLOSED' });
    await stream.next();
    await expect(reader.read(new Uint8Array(1))).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('take an empty archive and one with a comment', async () => {
    expect(await readSeekable(zipSync({}))).toEqual({});
    expect(await readStreamed(zipSync({}))).toEqual({});
    const zip = handMade({ comment: 'PK\u0005\u0006 inside a comment' });
    expect(Object.keys(await readSeekable(zip))).toEqual(['a.txt']);
    expect(Object.keys(await readStreamed(zip))).toEqual(['a.txt']);
  });

  it.each([
    ['encryption', { flags: 1 }],
    ['strong encryption', { flags: 0x41 }],
    ['an unknown method', { method: 12 }],
    ['ZIP64 sizes', { size: 0xffffffff }],
    ['a link', { madeBy: 3, attributes: 0o120777 * 65536 }],
    ['another disk', { disk: 1 }],
    ['a wrong CRC', { crc: 1 }],
    ['a stored entry with two sizes', { size: 4 }],
    ['more directory records than it says', { copies: 2, count: 1 }],
    ['fewer directory records than it says', { count: 2 }],
  ])('refuse %s as ZIP_INVALID', async (_, changes) => {
    const zip = handMade(changes);
    await expect(readSeekable(zip)).rejects.toMatchObject({ code: 'ZIP_INVALID' });
    await expect(readStreamed(zip)).rejects.toMatchObject({ code: 'ZIP_INVALID' });
  });

  it('refuse a stored entry with a data descriptor in a stream, not in a file', async () => {
    const zip = handMade({ flags: 8 });
    expect(Object.keys(await readSeekable(zip))).toEqual(['a.txt']);
    await expect(readStreamed(zip)).rejects.toMatchObject({
      code: 'ZIP_INVALID',
      fields: { feature: 'stored-descriptor' },
    });
  });

  it('refuse a local header that names another file than the directory', async () => {
    const zip = handMade({ localName: 'b.txt' });
    await expect(readSeekable(zip)).rejects.toMatchObject({ code: 'ZIP_INVALID' });
    await expect(readStreamed(zip)).rejects.toMatchObject({ code: 'ZIP_INVALID' });
  });

  it('refuse unsafe names and names that are the same but for case', async () => {
    for (const name of ['../a', '/etc/passwd', 'C:\\a', 'nul', 'a/../b', 'a\\b']) {
      const zip = handMade({ name });
      await expect(readSeekable(zip)).rejects.toMatchObject({ code: 'UNSAFE_PATH' });
      await expect(readStreamed(zip)).rejects.toMatchObject({ code: 'UNSAFE_PATH' });
    }
    const zip = zipSync({ 'A.txt': new Uint8Array(1), 'a.TXT': new Uint8Array(2) });
    await expect(readSeekable(zip)).rejects.toMatchObject({ code: 'UNSAFE_PATH' });
    await expect(readStreamed(zip)).rejects.toMatchObject({ code: 'UNSAFE_PATH' });
  });

  it('refuse entries that share their data, before reading any', async () => {
    const zip = handMade({ copies: 2 });
    await expect(readZipEntries(bytesRandomAccess(zip))).rejects.toMatchObject({
      code: expect.stringMatching(/ZIP_INVALID|UNSAFE_PATH/),
    });
  });

  it('stop a bomb at what it promised, and refuse promises that deflate cannot keep', async () => {
    const bomb = zipSync({ a: new Uint8Array(5_000_000) }, { level: 9 });
    const view = new DataView(bomb.buffer, bomb.byteOffset);
    const directory = view.getUint32(bomb.length - 6, true);
    // It promises 1000 bytes and has five million.
    const liar = bomb.slice();
    new DataView(liar.buffer).setUint32(22, 1000, true);
    new DataView(liar.buffer).setUint32(directory + 24, 1000, true);
    await expect(readSeekable(liar)).rejects.toMatchObject({ code: 'ZIP_INVALID' });
    await expect(readStreamed(liar)).rejects.toMatchObject({ code: 'ZIP_INVALID' });
    // It promises four gigabytes in five thousand bytes.
    const boaster = bomb.slice();
    new DataView(boaster.buffer).setUint32(directory + 24, 0xfffffff0, true);
    await expect(readZipEntries(bytesRandomAccess(boaster))).rejects.toMatchObject({
      code: 'ZIP_INVALID',
    });
  });

  it('keep to the limits they are given', async () => {
    const zip = zipSync({ a: new Uint8Array(1000), b: new Uint8Array(1000) });
    for (const limits of [
      { maxEntries: 1 },
      { maxEntryBytes: 999 },
      { maxTotalBytes: 1999 },
      { maxDirectoryBytes: 50 },
    ]) {
      await expect(readSeekable(zip, limits)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
      await expect(readStreamed(zip, limits)).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
    }
  });

  it('answer truncation at each byte with a code', async () => {
    for (const zip of [
      zipSync({ a: new Uint8Array(60), b: generate({ kind: 'words', seed: 1, bytes: 200 }) }),
      await ourZip({ 'a.txt': new Uint8Array([1, 2, 3]) }),
    ]) {
      for (let length = 0; length < zip.length; length++) {
        const cut = zip.subarray(0, length);
        await expect(readSeekable(cut), `${length}`).rejects.toMatchObject({ code: 'ZIP_INVALID' });
        await expect(readStreamed(cut), `${length}`).rejects.toMatchObject({ code: 'ZIP_INVALID' });
      }
    }
  });

  it('give the right bytes or a code for any flipped bit', async () => {
    const files = { a: generate({ kind: 'words', seed: 1, bytes: 300 }), 'b/c': new Uint8Array(9) };
    const zips = [zipSync(files), zipSync(files, { level: 0 }), await ourZip(files)];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...zips),
        fc.double({ min: 0, max: 0.99999, noNaN: true }),
        fc.integer({ min: 0, max: 7 }),
        async (zip, where, bit) => {
          const damaged = zip.slice();
          const at = Math.floor(where * zip.length);
          damaged[at] = (damaged[at] as number) ^ (1 << bit);
          for (const read of [readSeekable, readStreamed]) {
            try {
              const contents = Object.values(await read(damaged));
              // A flip may change a date, a version or a name, never content.
              for (const [i, expected] of Object.values(files).entries()) {
                if (contents[i] !== undefined) expect(contents[i]).toEqual(expected);
              }
            } catch (error) {
              if (!isOrbweaverError(error)) throw error;
              expect(['ZIP_INVALID', 'UNSAFE_PATH', 'LIMIT_EXCEEDED', 'INPUT_CHANGED']).toContain(
                error.code,
              );
            }
          }
        },
      ),
      { numRuns: 400, seed: 7 },
    );
  });

  it('find the exact end of deflate data that is full of markers', async () => {
    // Incompressible data stays readable inside deflate, signatures included.
    const marker = [0x50, 0x4b, 0x07, 0x08, 0x50, 0x4b, 0x03, 0x04, 0x50, 0x4b, 0x01, 0x02];
    const tricky = generate({ kind: 'repeat', unit: marker, bytes: 100_003 });
    const files = { tricky, after: FILES['folder/words.txt'] as Uint8Array };
    expectFiles(await readStreamed(await ourZip(files)), files);
  });
});
