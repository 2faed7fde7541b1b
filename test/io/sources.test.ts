import { execFileSync } from 'node:child_process';
import { createReadStream, openAsBlob } from 'node:fs';
import { appendFile, chmod, mkdtemp, open, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Source } from '../../src/client/ports.js';
import {
  blobSource,
  bytesRandomAccess,
  bytesSource,
  openRandomAccess,
  pathSource,
  sourceOf,
  streamSource,
  type UploadInput,
} from '../../src/io/index.js';
import { generate } from '../support/generators.js';

const CONTENT = generate({ kind: 'splitmix64', seed: 1, bytes: 200_003 });

let dir = '';
const at = (name: string): string => join(dir, name);
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orbweaver-io-'));
  await writeFile(at('content'), CONTENT);
  await writeFile(at('empty'), '');
});
afterAll(() => rm(dir, { recursive: true }));

async function readAll(source: Source, viewBytes: number, shared = false): Promise<Uint8Array> {
  const memory = shared ? new SharedArrayBuffer(viewBytes + 10) : new ArrayBuffer(viewBytes + 10);
  const reader = await source.open();
  const parts: Uint8Array[] = [];
  try {
    for (;;) {
      const view = new Uint8Array(memory, 5, viewBytes);
      const length = await reader.read(view);
      if (length === 0) break;
      parts.push(Uint8Array.from(view.subarray(0, length)));
    }
    expect(await reader.read(new Uint8Array(10))).toBe(0);
  } finally {
    await reader.close();
    await reader.close();
  }
  return new Uint8Array(Buffer.concat(parts));
}

/** Reads a file in small steps, with `change` between two of them. */
async function readWhile(source: Source, change: () => Promise<void>): Promise<Uint8Array> {
  const reader = await source.open();
  const view = new Uint8Array(60);
  const parts: Uint8Array[] = [];
  try {
    for (let step = 0; ; step++) {
      if (step === 1) await change();
      const length = await reader.read(view);
      if (length === 0) return Buffer.concat(parts);
      parts.push(view.slice(0, length));
    }
  } finally {
    await reader.close();
  }
}

async function writeInPlace(path: string): Promise<void> {
  const file = await open(path, 'r+');
  await file.write('other', 1000);
  await file.close();
}

async function* pieces(bytes: Uint8Array, step: number): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < bytes.length; start += step) {
    yield bytes.subarray(start, start + step);
    yield new Uint8Array(0);
  }
}

const webStream = (): ReadableStream<Uint8Array> => new Blob([CONTENT]).stream();

describe('sourceOf', () => {
  it('reads the same bytes from every kind of input, whatever the view and the pieces', async () => {
    for (const viewBytes of [97, 65_536, 400_000]) {
      const inputs: UploadInput[] = [
        at('content'),
        CONTENT,
        new Blob([CONTENT.subarray(0, 1000), CONTENT.subarray(1000)]),
        new File([CONTENT], 'a.bin'),
        await openAsBlob(at('content')),
        createReadStream(at('content')),
        Readable.from(pieces(CONTENT, 30_000)),
        webStream() as unknown as UploadInput,
        pieces(CONTENT, 1234),
        bytesSource(CONTENT),
      ];
      for (const [i, input] of inputs.entries()) {
        const source = await sourceOf(input);
        const shared = i % 2 === 0;
        expect(Buffer.compare(await readAll(source, viewBytes, shared), CONTENT), `${i}`).toBe(0);
      }
    }
  });

  it('knows sizes and names where they can be known', async () => {
    expect(await sourceOf(at('content'))).toMatchObject({
      name: at('content'),
      sizeBytes: CONTENT.length,
      reopenable: true,
    });
    const file = new File([CONTENT], 'a.bin');
    expect(await sourceOf(file)).toMatchObject({ name: 'a.bin', sizeBytes: CONTENT.length });
    expect(await sourceOf(CONTENT, { name: 'x' })).toMatchObject({ name: 'x' });
    const stream = await sourceOf(pieces(CONTENT, 100), { name: '-' });
    expect(stream).toMatchObject({ name: '-', reopenable: false });
    expect(stream.sizeBytes).toBeUndefined();
    const renamed = await sourceOf(await sourceOf(at('content')), { name: 'y' });
    expect(renamed).toMatchObject({ name: 'y', sizeBytes: CONTENT.length });
  });

  it('refuses what cannot be read with a code, and what is no input with a TypeError', async () => {
    await expect(sourceOf(at('nothing'))).rejects.toMatchObject({ code: 'INPUT_NOT_FOUND' });
    await expect(sourceOf(at('content/x'))).rejects.toMatchObject({ code: 'INPUT_NOT_FOUND' });
    await expect(sourceOf(dir)).rejects.toMatchObject({ code: 'INPUT_IS_DIRECTORY' });
    for (const wrong of [null, undefined, 7, {}, [1]]) {
      await expect(sourceOf(wrong as unknown as UploadInput)).rejects.toThrow(TypeError);
    }
  });

  it.skipIf(process.getuid?.() === 0)(
    'reports a file without permission (skipped as root)',
    async () => {
      await writeFile(at('secret'), 'x');
      await chmod(at('secret'), 0);
      const source = await pathSource(at('secret'));
      await expect(source.open()).rejects.toMatchObject({ code: 'INPUT_UNREADABLE' });
    },
  );
});

describe('pathSource', () => {
  it('notices files that grow or shrink before or while they are read', async () => {
    for (const [name, change] of [
      ['grows', (path: string) => appendFile(path, 'x')],
      ['shrinks', (path: string) => truncate(path, 100_000)],
    ] as const) {
      await writeFile(at(name), CONTENT);
      const source = await pathSource(at(name));
      const reader = await source.open();
      await reader.read(new Uint8Array(50_000));
      await change(at(name));
      const rest = async (): Promise<void> => {
        while ((await reader.read(new Uint8Array(50_000))) > 0);
      };
      await expect(rest()).rejects.toMatchObject({ code: 'INPUT_CHANGED' });
      await reader.close();
      await expect(source.open()).rejects.toMatchObject({ code: 'INPUT_CHANGED' });
    }
  });

  it('notices a file that is written in place while it is read, its size as before', async () => {
    const path = at('in-place');
    await writeFile(path, CONTENT);
    const reading = readWhile(await pathSource(path), () => writeInPlace(path));
    await expect(reading).rejects.toMatchObject({ code: 'INPUT_CHANGED' });
  });

  it('sends a growing file up to the size that it had, when asked to', async () => {
    const path = at('log');
    await writeFile(path, CONTENT);
    const source = await pathSource(path, { upToStartSize: true });
    const grown = await readWhile(source, () => appendFile(path, 'more'));
    expect(Buffer.compare(grown, CONTENT)).toBe(0);
    // Opened again it is still what it was looked up as.
    expect(Buffer.compare(await readAll(source, 70_000), CONTENT)).toBe(0);
    const shrunk = readWhile(source, () => truncate(path, 100));
    await expect(shrunk).rejects.toMatchObject({ code: 'INPUT_CHANGED' });
    await expect(source.open()).rejects.toMatchObject({ code: 'INPUT_CHANGED' });
    const plain = await pathSource(path);
    const more = readWhile(plain, () => appendFile(path, 'more'));
    await expect(more).rejects.toMatchObject({ code: 'INPUT_CHANGED' });
  });

  it('says so when a name is not UTF-8', async () => {
    await expect(pathSource(at('caf\ufffd'))).rejects.toMatchObject({
      code: 'INPUT_NOT_FOUND',
      message: expect.stringContaining('UTF-8'),
    });
  });

  it('reads empty files, files that only claim to be empty, and may be opened again', async () => {
    expect((await readAll(await pathSource(at('empty')), 100)).length).toBe(0);
    const source = await pathSource(at('content'));
    expect(Buffer.compare(await readAll(source, 9999), await readAll(source, 70_000))).toBe(0);
    if (process.platform === 'linux') {
      expect((await readAll(await pathSource('/proc/self/status'), 100)).length).toBeGreaterThan(
        99,
      );
    }
  });

  it.skipIf(process.platform === 'win32')(
    'reads a named pipe to its end (skipped without pipes)',
    async () => {
      execFileSync('mkfifo', [at('pipe')]);
      const source = await pathSource(at('pipe'));
      expect(source.sizeBytes).toBeUndefined();
      const writing = writeFile(at('pipe'), CONTENT);
      expect(Buffer.compare(await readAll(source, 30_000, true), CONTENT)).toBe(0);
      await writing;
    },
  );

  it('stops with ABORTED', async () => {
    const controller = new AbortController();
    const reader = await (await pathSource(at('content'))).open(controller.signal);
    await reader.read(new Uint8Array(10));
    controller.abort();
    await expect(reader.read(new Uint8Array(10))).rejects.toMatchObject({ code: 'ABORTED' });
    await reader.close();
  });
});

describe('streamSource', () => {
  it('opens once, checks a size that was given, and refuses text', async () => {
    const source = streamSource(pieces(CONTENT, 100));
    await (await source.open()).close();
    await expect(source.open()).rejects.toMatchObject({ code: 'INPUT_UNREADABLE' });
    for (const sizeBytes of [CONTENT.length - 1, CONTENT.length + 1]) {
      const sized = streamSource(pieces(CONTENT, 5000), { sizeBytes });
      await expect(readAll(sized, 1000)).rejects.toMatchObject({ code: 'INPUT_CHANGED' });
    }
    const text = streamSource(createReadStream(at('content'), { encoding: 'latin1' }));
    await expect(readAll(text, 100)).rejects.toThrow(TypeError);
  });

  it('reports a stream that fails, with its error as the cause', async () => {
    const broken = new Readable({
      read() {
        this.destroy(new Error('cable cut'));
      },
    });
    await expect(readAll(streamSource(broken), 100)).rejects.toMatchObject({
      code: 'INPUT_UNREADABLE',
      cause: { message: 'cable cut' },
    });
  });

  it('stops with ABORTED although the stream hangs, and lets go of it', async () => {
    const hanging = new Readable({ read() {} });
    let cancelled = false;
    const web = new ReadableStream<Uint8Array>({
      cancel() {
        cancelled = true;
      },
    });
    for (const stream of [hanging, web]) {
      const controller = new AbortController();
      const reader = await streamSource(stream as Readable).open(controller.signal);
      const reading = reader.read(new Uint8Array(10));
      controller.abort();
      await expect(reading).rejects.toMatchObject({ code: 'ABORTED' });
      await reader.close();
    }
    expect(hanging.destroyed).toBe(true);
    expect(cancelled).toBe(true);
  });
});

describe('blobSource', () => {
  it('reads one stream, of whatever kind the blob has, and leaves it when it is closed', async () => {
    for (const type of ['bytes', undefined] as const) {
      const blob = new Blob([CONTENT]);
      let opened = 0;
      let cancelled = false;
      blob.stream = () => {
        opened++;
        const source = {
          ...(type === undefined ? {} : { type }),
          pull: (controller: { enqueue(piece: Uint8Array): void }) => {
            controller.enqueue(CONTENT.slice(0, 1000));
          },
          cancel: () => {
            cancelled = true;
          },
        };
        return new ReadableStream(source as object) as ReturnType<Blob['stream']>;
      };
      const reader = await blobSource(blob).open();
      const into = new Uint8Array(1500);
      expect(await reader.read(into)).toBe(1000);
      expect(Buffer.compare(into.subarray(0, 1000), CONTENT.subarray(0, 1000))).toBe(0);
      expect(await reader.read(into)).toBe(1000);
      await reader.close();
      expect([opened, cancelled]).toEqual([1, true]);
    }
  });

  it('notices a file behind a blob that changed', async () => {
    await writeFile(at('blob'), CONTENT);
    const source = blobSource(await openAsBlob(at('blob')));
    await writeFile(at('blob'), 'short');
    await expect(readAll(source, 1000)).rejects.toMatchObject({
      code: expect.stringMatching(/^INPUT_(UNREADABLE|CHANGED)$/),
    });
  });
});

describe('openRandomAccess', () => {
  it('fills views from anywhere, shared memory too, and refuses to read past the end', async () => {
    for (const access of [await openRandomAccess(at('content')), bytesRandomAccess(CONTENT)]) {
      const view = new Uint8Array(new SharedArrayBuffer(5000));
      await access.readAt(view, 123_456);
      expect(Buffer.compare(view, CONTENT.subarray(123_456, 128_456))).toBe(0);
      expect(access.sizeBytes).toBe(CONTENT.length);
      await expect(access.readAt(view, CONTENT.length - 4999)).rejects.toMatchObject({
        code: 'INPUT_CHANGED',
      });
      await access.close();
    }
  });

  it('refuses folders, devices and files that are not there', async () => {
    await expect(openRandomAccess(dir)).rejects.toMatchObject({ code: 'INPUT_IS_DIRECTORY' });
    await expect(openRandomAccess('/dev/null')).rejects.toMatchObject({ code: 'INPUT_UNREADABLE' });
    await expect(openRandomAccess(at('no'))).rejects.toMatchObject({ code: 'INPUT_NOT_FOUND' });
  });
});
