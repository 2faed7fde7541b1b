import { spawnSync } from 'node:child_process';
import {
  chmod,
  lstat,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  fileSink,
  memorySink,
  outputSink,
  streamSink,
  writeFileAtomic,
} from '../../src/io/index.js';
import { generate } from '../support/generators.js';

const CONTENT = generate({ kind: 'splitmix64', seed: 2, bytes: 700_001 });

let dir = '';
const at = (name: string): string => join(dir, name);
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orbweaver-io-'));
});
afterEach(() => rm(dir, { recursive: true }));

describe('fileSink', () => {
  it('takes writes in any order, from shared memory too, and shows the file on commit only', async () => {
    await writeFile(at('out'), 'old');
    for (const durable of [false, true]) {
      const sink = fileSink(at('out'), { durable });
      await sink.prepare?.(CONTENT.length);
      const shared = new Uint8Array(new SharedArrayBuffer(CONTENT.length));
      shared.set(CONTENT);
      const starts = [600_000, 0, 300_000];
      await Promise.all(
        starts.map((start) => sink.write(shared.subarray(start, start + 300_000), start)),
      );
      expect((await readdir(dir)).length).toBe(2);
      await sink.commit(CONTENT.length);
      expect(Buffer.compare(await readFile(at('out')), CONTENT)).toBe(0);
      expect(await readdir(dir)).toEqual(['out']);
      await writeFile(at('out'), 'old');
    }
  });

  it('makes an empty file, and leaves nothing when nothing happened', async () => {
    await fileSink(at('never')).abort();
    expect(await readdir(dir)).toEqual([]);
    await fileSink(at('empty')).commit(0);
    expect((await stat(at('empty'))).size).toBe(0);
  });

  it('removes what it wrote on abort, also with writes under way, and keeps the old file', async () => {
    await writeFile(at('out'), 'old');
    const sink = fileSink(at('out'));
    await sink.write(CONTENT, 0);
    const late = sink.write(CONTENT, CONTENT.length).catch(() => {});
    await Promise.all([sink.abort(), sink.abort()]);
    await late;
    expect(await readdir(dir)).toEqual(['out']);
    expect(await readFile(at('out'), 'utf8')).toBe('old');
    await expect(sink.write(CONTENT, 0)).rejects.toMatchObject({ code: 'CLOSED' });
    await expect(sink.commit(0)).rejects.toMatchObject({ code: 'CLOSED' });
  });

  it('leaves out zeros that it is told about, at any place, and counts them', async () => {
    for (const [skips, writes] of [
      [[[0, 30]], []],
      [[[20, 10]], [0, 10]],
      [
        [
          [0, 10],
          [20, 10],
        ],
        [10],
      ],
      [[[0, 20]], [20]],
    ] as [[number, number][], number[]][]) {
      const sink = fileSink(at('out'));
      for (const [offset, lengthBytes] of skips) sink.skip?.(offset, lengthBytes);
      for (const offset of writes) await sink.write(new Uint8Array(10).fill(7), offset);
      await sink.commit(30);
      const expected = new Uint8Array(30);
      for (const offset of writes) expected.fill(7, offset, offset + 10);
      expect([...(await readFile(at('out')))]).toEqual([...expected]);
    }
  });

  it('does not take zeros in the middle for a file that is too short', async () => {
    const sink = fileSink(at('out'));
    await sink.write(new Uint8Array(10), 0);
    sink.skip?.(10, 10);
    await expect(sink.commit(30)).rejects.toMatchObject({ code: 'SIZE_MISMATCH' });
  });

  it('refuses to commit another size than it has, and leaves nothing', async () => {
    for (const sizeBytes of [9, 11]) {
      const sink = fileSink(at('out'));
      await sink.write(new Uint8Array(10), 0);
      await expect(sink.commit(sizeBytes)).rejects.toMatchObject({ code: 'SIZE_MISMATCH' });
      expect(await readdir(dir)).toEqual([]);
    }
  });

  it('refuses targets that cannot be written, before anything is written', async () => {
    await mkdir(at('folder'));
    await writeFile(at('file'), '');
    for (const path of ['/proc/no/such', at('folder'), at('file/out'), '/dev/null']) {
      const sink = fileSink(path);
      await expect(sink.prepare?.(10), path).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
      await sink.abort();
    }
    expect((await readdir(dir)).sort()).toEqual(['file', 'folder']);
  });

  it.skipIf(process.getuid?.() === 0)(
    'refuses a folder without permission (skipped as root)',
    async () => {
      await mkdir(at('locked'));
      await chmod(at('locked'), 0o555);
      const sink = fileSink(at('locked/out'));
      await expect(sink.prepare?.(1)).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
    },
  );

  it('refuses more than the free space in advance', async () => {
    const sink = fileSink(at('out'));
    await expect(sink.prepare?.(2 ** 52)).rejects.toMatchObject({ code: 'DISK_FULL' });
    await sink.abort();
    expect(await readdir(dir)).toEqual([]);
  });

  it.skipIf(process.platform !== 'linux')(
    'reports a full disk as DISK_FULL (skipped without /dev/full)',
    async () => {
      // The device behind this name has no room, ever.
      const sink = await outputSink('/dev/full');
      const writing = sink.write(new Uint8Array(10), 0).then(() => sink.commit(10));
      await expect(writing).rejects.toMatchObject({ code: 'DISK_FULL' });
      await sink.abort();
    },
  );

  it('lets many writers of one target each leave a whole file', async () => {
    await Promise.all(
      Array.from({ length: 8 }, async (_, i) => {
        const bytes = new Uint8Array(50_000).fill(i);
        const sink = fileSink(at('out'));
        for (let start = 0; start < bytes.length; start += 7000) {
          await sink.write(bytes.subarray(start, start + 7000), start);
        }
        await sink.commit(bytes.length);
      }),
    );
    const bytes = await readFile(at('out'));
    expect(new Set(bytes).size).toBe(1);
    expect(bytes.length).toBe(50_000);
    expect(await readdir(dir)).toEqual(['out']);
  });

  it('removes what killed runs left of the same target, and nothing else', async () => {
    const probe = fileSink(at('out'));
    await probe.prepare?.(0);
    const own = (await readdir(dir)).find((name) => name.endsWith('.orbweaver-part')) as string;
    await probe.abort();
    const [, tag, pid] =
      /^\.out\.([0-9a-z]+)-([0-9]+)-[0-9a-f]{8}\.orbweaver-part$/.exec(own) ?? [];
    expect(pid).toBe(String(process.pid));
    const { pid: dead } = spawnSync(process.execPath, ['-e', '']);
    const leftover = `.out.${tag}-${dead}-00000000.orbweaver-part`;
    const foreignOld = `.out.zzz-1-00000000.orbweaver-part`;
    const keep = [
      `.out.${tag}-${process.pid}-00000000.orbweaver-part`,
      `.out.${tag}-${process.ppid}-00000000.orbweaver-part`,
      `.out.zzz-1-11111111.orbweaver-part`,
      `.other.${tag}-${dead}-00000000.orbweaver-part`,
      `.out.something.orbweaver-part`,
    ];
    for (const name of [leftover, foreignOld, ...keep]) await writeFile(at(name), 'x');
    const twoDaysAgo = Date.now() / 1000 - 2 * 24 * 3600;
    await utimes(at(foreignOld), twoDaysAgo, twoDaysAgo);
    const sink = fileSink(at('out'));
    await sink.commit(0);
    expect((await readdir(dir)).sort()).toEqual([...keep, 'out'].sort());
    expect(own).not.toContain(hostname());
  });

  it('writes through a link, also one that leads to nothing yet, and keeps it', async () => {
    await mkdir(at('other'));
    await writeFile(at('other/real'), 'old');
    await symlink('other/real', at('out'));
    await symlink('other/new', at('dangling'));
    for (const [link, real] of [
      ['out', 'other/real'],
      ['dangling', 'other/new'],
    ] as const) {
      const sink = fileSink(at(link));
      await sink.write(new Uint8Array([1]), 0);
      // The part lies beside the file: the rename stays within one file system.
      expect((await readdir(at('other'))).some((name) => name.endsWith('.orbweaver-part'))).toBe(
        true,
      );
      await sink.commit(1);
      expect((await lstat(at(link))).isSymbolicLink()).toBe(true);
      expect((await readFile(at(real))).length).toBe(1);
    }
    await symlink('circle', at('circle'));
    await expect(fileSink(at('circle')).commit(0)).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
    });
  });

  it('keeps the rights of a file that it replaces, and those of the user for a new one', async () => {
    await writeFile(at('secret'), 'old', { mode: 0o600 });
    await chmod(at('secret'), 0o640);
    for (const name of ['secret', 'new']) {
      const sink = fileSink(at(name));
      await sink.write(new Uint8Array([1]), 0);
      await sink.commit(1);
    }
    expect((await stat(at('secret'))).mode & 0o777).toBe(0o640);
    expect((await stat(at('new'))).mode & 0o777).toBe(0o666 & ~process.umask());
  });

  it('makes the folders that are missing', async () => {
    const sink = fileSink(at('a/b/c/out'));
    await sink.commit(0);
    expect(await readdir(at('a/b/c'))).toEqual(['out']);
  });

  it('copes with names at the limit of the file system', async () => {
    const names = ['ü'.repeat(120), '🕸'.repeat(63), 'x'.repeat(255)];
    for (const name of names) {
      const sink = fileSink(at(name));
      await sink.write(new Uint8Array(3), 0);
      for (const each of await readdir(dir)) expect(Buffer.byteLength(each)).toBeLessThan(256);
      await sink.commit(3);
    }
    expect((await readdir(dir)).sort()).toEqual([...names].sort());
  });
});

describe('streamSink', () => {
  it('writes in order with backpressure, and copies what a stream may keep', async () => {
    const through = new PassThrough({ highWaterMark: 1000 });
    const sink = streamSink(through);
    const reading = (async () => {
      const parts: Buffer[] = [];
      for await (const part of through) {
        await new Promise((resolve) => setImmediate(resolve));
        parts.push(part);
      }
      return Buffer.concat(parts);
    })();
    const slab = new Uint8Array(new SharedArrayBuffer(300_000));
    for (let start = 0; start < CONTENT.length; start += slab.length) {
      const piece = CONTENT.subarray(start, start + slab.length);
      slab.set(piece);
      await sink.write(slab.subarray(0, piece.length), start);
      slab.fill(0);
    }
    await sink.commit(CONTENT.length);
    expect(Buffer.compare(await reading, CONTENT)).toBe(0);
  });

  it('does not take more than the stream can hold', async () => {
    const stuck = new Writable({ highWaterMark: 10, write() {} });
    const sink = streamSink(stuck);
    let done = false;
    const writing = sink.write(CONTENT, 0).then(() => {
      done = true;
    });
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(done).toBe(false);
    // Abort ends the wait.
    await sink.abort(new Error('wrong hash'));
    await expect(writing).rejects.toMatchObject({ code: 'CLOSED' });
    expect(stuck.destroyed).toBe(true);
    expect(stuck.errored?.message).toBe('wrong hash');
  });

  it('reports a reader that went away', async () => {
    const epipe = new Writable({
      write(_chunk, _encoding, callback) {
        callback(Object.assign(new Error('broken pipe'), { code: 'EPIPE' }));
      },
    });
    await expect(streamSink(epipe).write(CONTENT, 0)).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
      fields: { errno: 'EPIPE' },
    });
    const closing = new PassThrough({ highWaterMark: 10 });
    const sink = streamSink(closing);
    const writing = sink.write(CONTENT, 0);
    closing.destroy();
    await expect(writing).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
    await expect(sink.write(CONTENT, 0)).rejects.toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
  });

  it('checks order and size, and leaves the stream open when asked', async () => {
    const through = new PassThrough();
    through.resume();
    const sink = streamSink(through, { end: false });
    await expect(sink.write(new Uint8Array(1), 1)).rejects.toThrow(RangeError);
    await sink.write(new Uint8Array(5), 0);
    await expect(sink.commit(6)).rejects.toMatchObject({ code: 'SIZE_MISMATCH' });
    await sink.commit(5);
    expect(through.writableEnded).toBe(false);
    await expect(sink.write(new Uint8Array(1), 5)).rejects.toMatchObject({ code: 'CLOSED' });
    const second = streamSink(through, { end: false });
    await second.abort();
    expect(through.destroyed).toBe(false);
  });
});

describe('memorySink', () => {
  it('keeps what it is given in any order', async () => {
    const sink = memorySink();
    await sink.write(CONTENT.subarray(1000), 1000);
    await sink.write(CONTENT.subarray(0, 1000), 0);
    expect(() => sink.bytes()).toThrowError(expect.objectContaining({ code: 'CLOSED' }));
    await sink.commit(CONTENT.length);
    expect(Buffer.compare(sink.bytes(), CONTENT)).toBe(0);
    await expect(memorySink().prepare?.(2 ** 40)).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
    });
  });
});

describe('outputSink', () => {
  it('streams into devices and renames into files', async () => {
    const device = await outputSink('/dev/null');
    expect(device.positional).toBe(false);
    await device.write(CONTENT, 0);
    await device.commit(CONTENT.length);
    expect((await stat('/dev/null')).isFile()).toBe(false);
    expect((await outputSink(at('new'))).positional).toBe(true);
  });
});

describe('writeFileAtomic', () => {
  it('writes bytes and pieces, and replaces the old file', async () => {
    await writeFile(at('a'), 'old');
    expect(await writeFileAtomic(at('a'), CONTENT, { durable: true })).toBe(CONTENT.length);
    expect(Buffer.compare(await readFile(at('a')), CONTENT)).toBe(0);
    const halves = [CONTENT.subarray(0, 5), CONTENT.subarray(5)];
    await writeFileAtomic(at('a'), halves, { mode: 0o600 });
    expect(Buffer.compare(await readFile(at('a')), CONTENT)).toBe(0);
    expect((await stat(at('a'))).mode & 0o777).toBe(0o600);
    expect(await readdir(dir)).toEqual(['a']);
  });

  it('leaves the old file and nothing else when a piece fails', async () => {
    await writeFile(at('a'), 'old');
    const failing = (async function* () {
      yield CONTENT;
      throw new Error('no more');
    })();
    await expect(writeFileAtomic(at('a'), failing)).rejects.toThrow('no more');
    expect(await readFile(at('a'), 'utf8')).toBe('old');
    expect(await readdir(dir)).toEqual(['a']);
    await expect(writeFileAtomic(at('no/a'), CONTENT)).rejects.toMatchObject({
      code: 'OUTPUT_UNWRITABLE',
    });
  });
});
