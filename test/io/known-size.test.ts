import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bytesSource, knownSize } from '../../src/io/index.js';

describe('the size of an input before it is opened', () => {
  let folder = '';
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'orbweaver-size-'));
    await writeFile(join(folder, 'file'), new Uint8Array(1234));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('is known of files, bytes, blobs and sources that say so', async () => {
    expect(await knownSize(join(folder, 'file'))).toBe(1234);
    expect(await knownSize(new Uint8Array(7))).toBe(7);
    expect(await knownSize(new Blob(['abc']))).toBe(3);
    expect(await knownSize(bytesSource(new Uint8Array(9)))).toBe(9);
  });

  it('is unknown of streams, folders, missing files and impossible names, which is no fault', async () => {
    expect(await knownSize(Readable.from(['abc']))).toBeUndefined();
    expect(await knownSize(folder)).toBeUndefined();
    expect(await knownSize(join(folder, 'none'))).toBeUndefined();
    expect(await knownSize('a\0b')).toBeUndefined();
  });
});
