import { execFileSync, spawnSync } from 'node:child_process';
import {
  closeSync,
  ftruncateSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { writeEnd } from '../../src/archive/end-record.js';
import { createZipWriter, readZipEntries, readZipStream } from '../../src/archive/index.js';
import type { RandomAccess, Source } from '../../src/client/ports.js';
import { isOrbweaverError } from '../../src/errors.js';
import { bytesRandomAccess, bytesSource } from '../../src/io/index.js';
import { generate } from '../support/generators.js';

const GIB = 1024 ** 3;
const WORDS = generate({ kind: 'words', seed: 3, bytes: 70_000 });
const HELLO = new TextEncoder().encode('hello');
const HELLO_CRC = 0x3610a686;

const hasPython = spawnSync('python3', ['-c', 'import zipfile']).status === 0;
const hasUnzip = /ZIP64_SUPPORT/.test(
  spawnSync('unzip', ['-v'], { encoding: 'utf8' }).stdout ?? '',
);
const has7z = spawnSync('7z', ['i']).status === 0;

const dir = mkdtempSync(join(tmpdir(), 'orbweaver-zip64-'));
afterAll(() => rmSync(dir, { recursive: true }));

async function contentOf(source: Source): Promise<Buffer> {
  const reader = await source.open();
  const parts: Uint8Array[] = [];
  for (;;) {
    const into = new Uint8Array(1 << 16);
    const length = await reader.read(into);
    if (length === 0) break;
    parts.push(into.subarray(0, length));
  }
  await reader.close();
  return Buffer.concat(parts);
}

async function seekable(zip: Uint8Array): Promise<Record<string, Buffer>> {
  const out: Record<string, Buffer> = {};
  for (const entry of await readZipEntries(bytesRandomAccess(zip))) {
    out[entry.name] = await contentOf(entry);
  }
  return out;
}

async function streamed(zip: Uint8Array): Promise<Record<string, Buffer>> {
  const out: Record<string, Buffer> = {};
  for await (const entry of readZipStream(await bytesSource(zip).open())) {
    out[entry.name] = await contentOf(entry);
  }
  return out;
}

/** Deep equality of the runner is slow on bytes. */
function expectSame(got: Record<string, Buffer>, expected: Record<string, Buffer>): void {
  expect(Object.keys(got)).toEqual(Object.keys(expected));
  for (const [name, bytes] of Object.entries(expected)) {
    expect(got[name]?.equals(bytes), name).toBe(true);
  }
}

function python(script: string, ...args: string[]): string {
  return execFileSync('python3', ['-c', script, ...args], { encoding: 'utf8' }).trim();
}

/** An archive whose entries were announced as too large for 32 bits, and then were not. */
async function announcedWide(compression: 'store' | 'deflate' = 'store'): Promise<Uint8Array> {
  const out: Uint8Array[] = [];
  const zip = createZipWriter({
    compression,
    write: async (bytes) => void out.push(bytes.slice()),
  });
  for (const [name, bytes] of [
    ['wide.txt', WORDS],
    ['plain.txt', HELLO],
  ] as const) {
    const sink = zip.entry(name);
    await sink.prepare?.(name === 'wide.txt' ? 5 * GIB : bytes.length);
    await sink.write(bytes, 0);
    await sink.commit(bytes.length);
  }
  await zip.finish();
  return new Uint8Array(Buffer.concat(out));
}

interface Piece {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** A stored entry and its directory record, both with a ZIP64 field where they need one. */
function storedEntry(name: string, sizeBytes: number, crc: number, headerOffset: number) {
  const nameBytes = Buffer.from(name);
  const wideSize = sizeBytes >= 0xffffffff;
  const field = (values: readonly number[]): Buffer => {
    if (values.length === 0) return Buffer.alloc(0);
    const bytes = Buffer.alloc(4 + 8 * values.length);
    bytes.writeUInt16LE(1, 0);
    bytes.writeUInt16LE(8 * values.length, 2);
    values.forEach((value, i) => {
      bytes.writeBigUInt64LE(BigInt(value), 4 + 8 * i);
    });
    return bytes;
  };
  const sizes = wideSize ? [sizeBytes, sizeBytes] : [];
  const offsets = headerOffset >= 0xffffffff ? [headerOffset] : [];
  const common = Buffer.alloc(26);
  common.writeUInt16LE(45, 0);
  common.writeUInt32LE(0x21 << 16, 6);
  common.writeUInt32LE(crc, 10);
  common.writeUInt32LE(Math.min(sizeBytes, 0xffffffff), 14);
  common.writeUInt32LE(Math.min(sizeBytes, 0xffffffff), 18);
  common.writeUInt16LE(nameBytes.length, 22);
  const localExtra = field(sizes);
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, nameBytes, localExtra]);
  local.writeUInt16LE(localExtra.length, 28);
  const recordExtra = field([...sizes, ...offsets]);
  const rest = Buffer.alloc(14);
  rest.writeUInt32LE(Math.min(headerOffset, 0xffffffff), 10);
  const version = Buffer.from([45, 0]);
  const record = Buffer.concat([
    Buffer.from('PK\x01\x02'),
    version,
    common,
    rest,
    nameBytes,
    recordExtra,
  ]);
  record.writeUInt16LE(recordExtra.length, 30);
  return { local, record };
}

/** 4.5 GiB of zeros, a small file behind them, and the directory: only what is not zero is kept. */
function largeArchive(): { readonly sizeBytes: number; readonly pieces: readonly Piece[] } {
  const zeroBytes = 4.5 * GIB;
  const big = storedEntry('model/big.bin', zeroBytes, 0, 0);
  const smallOffset = big.local.length + zeroBytes;
  const small = storedEntry('small.txt', HELLO.length, HELLO_CRC, smallOffset);
  const directoryOffset = smallOffset + small.local.length + HELLO.length;
  const directory = Buffer.concat([big.record, small.record]);
  const end = writeEnd({ entryCount: 2, directoryBytes: directory.length, directoryOffset });
  const tail = Buffer.concat([small.local, HELLO, directory, end]);
  return {
    sizeBytes: smallOffset + tail.length,
    pieces: [
      { offset: 0, bytes: big.local },
      { offset: smallOffset, bytes: tail },
    ],
  };
}

function sparseAccess({ sizeBytes, pieces }: ReturnType<typeof largeArchive>): RandomAccess {
  return {
    name: 'large.zip',
    sizeBytes,
    async readAt(into, offset) {
      into.fill(0);
      for (const piece of pieces) {
        const from = Math.max(offset, piece.offset);
        const to = Math.min(offset + into.length, piece.offset + piece.bytes.length);
        if (from >= to) continue;
        into.set(piece.bytes.subarray(from - piece.offset, to - piece.offset), from - offset);
      }
    },
    async close() {},
  };
}

describe('ZIP64', () => {
  it('is read where sizes and offsets pass 4 GiB', async () => {
    const entries = await readZipEntries(sparseAccess(largeArchive()));
    expect(entries.map(({ name, sizeBytes }) => [name, sizeBytes])).toEqual([
      ['model/big.bin', 4.5 * GIB],
      ['small.txt', 5],
    ]);
    expect((await contentOf(entries[1] as Source)).toString()).toBe('hello');
    const reader = await (entries[0] as Source).open();
    expect(await reader.read(new Uint8Array(1000))).toBe(1000);
    await reader.close();
  });

  it('of ours is read by other tools where offsets pass 4 GiB (each skipped when missing)', () => {
    const { sizeBytes, pieces } = largeArchive();
    const path = join(dir, 'large.zip');
    const fd = openSync(path, 'w');
    ftruncateSync(fd, sizeBytes);
    for (const { offset, bytes } of pieces) writeSync(fd, bytes, 0, bytes.length, offset);
    closeSync(fd);
    const tools: [string, boolean, () => string][] = [
      [
        'python',
        hasPython,
        () =>
          python(
            'import sys,zipfile; z=zipfile.ZipFile(sys.argv[1]); print(z.getinfo("model/big.bin").file_size, z.read("small.txt").decode())',
            path,
          ),
      ],
      [
        'unzip',
        hasUnzip,
        () => {
          const text = execFileSync('unzip', ['-p', path, 'small.txt'], { encoding: 'utf8' });
          const list = execFileSync('unzip', ['-l', path], { encoding: 'utf8' });
          return `${/\d{10}/.exec(list)?.[0]} ${text}`;
        },
      ],
      [
        '7z',
        has7z,
        () => {
          const args = ['x', '-so', path, 'small.txt'];
          return `4831838208 ${execFileSync('7z', args, { encoding: 'utf8' })}`;
        },
      ],
    ];
    for (const [tool, isThere, run] of tools) {
      if (isThere) expect(run(), tool).toBe('4831838208 hello');
    }
    rmSync(path);
  });

  it('is written for an entry that is announced as 4 GiB or more, and read from file and stream', async () => {
    for (const compression of ['store', 'deflate'] as const) {
      const zip = await announcedWide(compression);
      // Version 4.5 and a ZIP64 field in the first local header, neither in the second.
      expect(zip[4]).toBe(45);
      const expected = { 'wide.txt': Buffer.from(WORDS), 'plain.txt': Buffer.from(HELLO) };
      expectSame(await seekable(zip), expected);
      expectSame(await streamed(zip), expected);
      const path = join(dir, `wide-${compression}.zip`);
      writeFileSync(path, zip);
      if (hasPython) {
        const script = 'import sys,zipfile; print(zipfile.ZipFile(sys.argv[1]).testzip())';
        expect(python(script, path)).toBe('None');
      }
      if (hasUnzip) execFileSync('unzip', ['-tqq', path]);
      if (has7z) execFileSync('7z', ['t', path]);
    }
  });

  it('holds more than 65,535 entries, ours for others', async () => {
    const out: Uint8Array[] = [];
    const zip = createZipWriter({ write: async (bytes) => void out.push(bytes.slice()) });
    const count = 65_536;
    for (let i = 0; i < count; i++) await zip.entry(`f${i}`).commit(0);
    const { sizeBytes, entryCount } = await zip.finish();
    const bytes = Buffer.concat(out);
    expect([entryCount, bytes.length]).toEqual([count, sizeBytes]);
    expect(await readZipEntries(bytesRandomAccess(bytes))).toHaveLength(count);
    if (!hasPython) return;
    const path = join(dir, 'many.zip');
    writeFileSync(path, bytes);
    const script = 'import sys,zipfile; print(len(zipfile.ZipFile(sys.argv[1]).namelist()))';
    expect(python(script, path)).toBe(String(count));
  }, 120_000);

  it('of 65,534, 65,535 and 65,536 entries has ZIP64 records from 65,535 on', async () => {
    for (const count of [65_534, 65_535, 65_536]) {
      const end = writeEnd({ entryCount: count, directoryBytes: 10, directoryOffset: 10 });
      expect(end.length, `${count}`).toBe(count < 65_535 ? 22 : 98);
    }
    for (const value of [0xfffffffe, 0xffffffff]) {
      const wide = value === 0xffffffff;
      for (const place of [
        { entryCount: 1, directoryBytes: value, directoryOffset: 0 },
        { entryCount: 1, directoryBytes: 0, directoryOffset: value },
      ]) {
        expect(writeEnd(place).length).toBe(wide ? 98 : 22);
      }
    }
  });

  it.skipIf(!hasPython)(
    'of Python is read: forced for small files (skipped without Python)',
    async () => {
      const path = join(dir, 'python.zip');
      const source = join(dir, 'words.txt');
      writeFileSync(source, WORDS);
      python(
        `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED) as z:
    for name in ("a.txt", "b.txt"):
        with z.open(name, "w", force_zip64=True) as f:
            f.write(open(sys.argv[2], "rb").read())
`,
        path,
        source,
      );
      const small = new Uint8Array(readFileSync(path));
      const words = Buffer.from(WORDS);
      expectSame(await seekable(small), { 'a.txt': words, 'b.txt': words });
      expectSame(await streamed(small), { 'a.txt': words, 'b.txt': words });
    },
  );

  it.skipIf(!hasPython)(
    'archives laid out as PyTorch does, stored and aligned to 64 bytes, are read (skipped without Python)',
    async () => {
      const path = join(dir, 'model.pt');
      python(
        `
import struct, sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_STORED) as z:
    for i in range(3):
        info = zipfile.ZipInfo("archive/data/%d" % i)
        start = z.fp.tell() + 30 + len(info.filename) + 4
        pad = -start % 64
        info.extra = struct.pack("<2sH", b"FB", pad) + b"Z" * pad
        z.writestr(info, bytes([i]) * 1000)
`,
        path,
      );
      const zip = new Uint8Array(readFileSync(path));
      const expected = Object.fromEntries(
        [0, 1, 2].map((i) => [`archive/data/${i}`, Buffer.alloc(1000, i)]),
      );
      expectSame(await seekable(zip), expected);
      expectSame(await streamed(zip), expected);
    },
  );
});

describe('a ZIP64 archive of a stranger', () => {
  const place = { entryCount: 0xffff, directoryBytes: 0, directoryOffset: 0 };

  /** Two stored entries whose records are all ZIP64, and the fields of the end open to change. */
  function handMade(change: (tail: DataView, at: { wideEnd: number; end: number }) => void) {
    const first = storedEntry('a.txt', 5, HELLO_CRC, 0);
    const body = Buffer.concat([first.local, HELLO]);
    const end = Buffer.from(writeEnd(place));
    const zip = Buffer.concat([body, first.record, end]);
    const view = new DataView(zip.buffer, zip.byteOffset, zip.length);
    const wideEnd = body.length + first.record.length;
    // One entry, said by the ZIP64 record alone.
    for (const at of [24, 32]) view.setBigUint64(wideEnd + at, 1n, true);
    view.setBigUint64(wideEnd + 40, BigInt(first.record.length), true);
    view.setBigUint64(wideEnd + 48, BigInt(body.length), true);
    view.setBigUint64(wideEnd + 56 + 8, BigInt(wideEnd), true);
    view.setUint32(wideEnd + 76 + 12, 0xffffffff, true);
    view.setUint32(wideEnd + 76 + 16, 0xffffffff, true);
    change(view, { wideEnd, end: wideEnd + 76 });
    return new Uint8Array(zip);
  }

  it('is read when its records agree', async () => {
    const zip = handMade(() => {});
    expectSame(await seekable(zip), { 'a.txt': Buffer.from(HELLO) });
    expectSame(await streamed(zip), { 'a.txt': Buffer.from(HELLO) });
  });

  it.each<[string, Parameters<typeof handMade>[0]]>([
    ['a locator that points elsewhere', (v, { wideEnd }) => v.setUint32(wideEnd + 64, 3, true)],
    ['a locator beyond 2^53', (v, { wideEnd }) => v.setUint32(wideEnd + 68, 0xffffffff, true)],
    [
      'an end record that says another count',
      (v, { end }) => {
        v.setUint16(end + 8, 2, true);
        v.setUint16(end + 10, 2, true);
      },
    ],
    ['an end record that says another offset', (v, { end }) => v.setUint32(end + 16, 7, true)],
    [
      'a count beyond what is there',
      (v, { wideEnd }) => {
        v.setUint32(wideEnd + 24, 2, true);
        v.setUint32(wideEnd + 32, 2, true);
      },
    ],
    ['a count of entries per disk', (v, { wideEnd }) => v.setUint32(wideEnd + 24, 2, true)],
    ['data behind the ZIP64 record', (v, { wideEnd }) => v.setUint32(wideEnd + 4, 48, true)],
    ['another disk', (v, { wideEnd }) => v.setUint32(wideEnd + 16, 1, true)],
    ['two disks', (v, { wideEnd }) => v.setUint32(wideEnd + 72, 2, true)],
    ['a directory of another length', (v, { wideEnd }) => v.setUint32(wideEnd + 40, 40, true)],
    [
      'a size without its ZIP64 field',
      (v, { wideEnd }) => v.setUint32(wideEnd - 51 + 24, 0xffffffff, true),
    ],
  ])('is refused for %s', async (_, change) => {
    const zip = handMade(change);
    await expect(seekable(zip)).rejects.toMatchObject({ code: 'ZIP_INVALID' });
    await expect(streamed(zip)).rejects.toMatchObject({ code: 'ZIP_INVALID' });
  });

  it('is refused when entries far apart share bytes', async () => {
    const { sizeBytes, pieces } = largeArchive();
    const longer = 4.5 * GIB + 40;
    const tail = Buffer.from(pieces[1]?.bytes as Uint8Array);
    const size = Buffer.alloc(8);
    size.writeBigUInt64LE(BigInt(4.5 * GIB));
    const at = tail.indexOf(size);
    for (const offset of [at, at + 8]) tail.writeBigUInt64LE(BigInt(longer), offset);
    const access = sparseAccess({
      sizeBytes,
      pieces: [pieces[0] as Piece, { offset: pieces[1]?.offset as number, bytes: tail }],
    });
    await expect(readZipEntries(access)).rejects.toMatchObject({ code: 'ZIP_INVALID' });
  });

  it('cut off at any byte is refused with a code', async () => {
    const zip = handMade(() => {});
    for (let length = 0; length < zip.length; length++) {
      const cut = zip.subarray(0, length);
      await expect(seekable(cut), `${length}`).rejects.toMatchObject({ code: 'ZIP_INVALID' });
      await expect(streamed(cut), `${length}`).rejects.toMatchObject({ code: 'ZIP_INVALID' });
    }
  });

  it('gives the right bytes or a code for any flipped bit', async () => {
    const zips = [handMade(() => {}), await announcedWide()];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...zips),
        fc.double({ min: 0, max: 0.99999, noNaN: true }),
        fc.integer({ min: 0, max: 7 }),
        async (zip, where, bit) => {
          const damaged = zip.slice();
          // Most of the flips hit the records at the end.
          const at = zip.length - 1 - Math.floor(where ** 4 * zip.length);
          damaged[at] = (damaged[at] as number) ^ (1 << bit);
          for (const read of [seekable, streamed]) {
            try {
              for (const bytes of Object.values(await read(damaged))) {
                const original = bytes.length === HELLO.length ? HELLO : WORDS;
                expect(Buffer.compare(bytes, original)).toBe(0);
              }
            } catch (error) {
              if (!isOrbweaverError(error)) throw error;
            }
          }
        },
      ),
      { numRuns: 200, seed: 11 },
    );
  });
});
