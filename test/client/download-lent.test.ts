import { mkdtemp, open, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { downloadFile } from '../../src/client/index.js';
import type { DecodeRequest, DecodeResult, FileLoan, Sink } from '../../src/client/ports.js';
import { isOrbweaverError, OrbweaverError } from '../../src/errors.js';
import { fileSink } from '../../src/io/index.js';
import {
  type FakeCasOptions,
  fakeCas,
  hasher,
  randomFile,
  testPool,
  testSink,
} from './download-support.js';

const SHAPE = { xorbs: 3, chunksPerXorb: 30, chunkBytes: 9000, runs: 25 };
const POOL = { slabBytes: 140_000, slabCount: 6, threads: 1 };

let dir = '';
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orbweaver-lent-'));
});
afterEach(() => rm(dir, { recursive: true }));

/** What a sink that lends was asked, beside the sink itself. */
function lendingSink(path: string, change: (loan: FileLoan) => FileLoan = (loan) => loan) {
  const sink = fileSink(path);
  const seen = { loans: 0, ended: 0, writes: 0 };
  const lend = (): FileLoan | null => {
    const loan = sink.lend?.() ?? null;
    if (loan === null) return null;
    seen.loans++;
    const changed = change(loan);
    return {
      ...changed,
      end(bytes, ms) {
        seen.ended++;
        changed.end(bytes, ms);
      },
    };
  };
  const writing: Sink = {
    ...sink,
    lend,
    write: (bytes, offset) => {
      seen.writes++;
      return sink.write(bytes, offset);
    },
  };
  return { sink: writing, seen };
}

async function attempt(
  sink: Sink,
  seed: number,
  faults: FakeCasOptions = {},
  signal?: AbortSignal,
) {
  const { file, xorbs } = randomFile(seed, SHAPE);
  const pool = testPool(POOL);
  const cas = fakeCas([file], xorbs, { ranges: 'joined', pieceBytes: 30_000, ...faults });
  const options = { cas, pool, hasher, fileHash: file.hash, sink, signal };
  const error = await downloadFile(options).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  // A busy machine may need longer for what runs than a failure waits for it.
  await vi.waitFor(() => expect(pool.freeSlabs).toBe(pool.slabCount), { timeout: 5000 });
  return { error, file };
}

describe('downloadFile into a file that its sink lends to threads', () => {
  it('has all bytes written by the threads, whatever the file is made of', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(10_000), async (seed) => {
        const { sink, seen } = lendingSink(join(dir, 'out'));
        const { error, file } = await attempt(sink, seed);
        expect(error).toBeUndefined();
        expect(Buffer.compare(await readFile(join(dir, 'out')), file.bytes)).toBe(0);
        expect(seen.ended).toBe(seen.loans);
        expect(seen.writes).toBe(0);
      }),
      { numRuns: 15, seed: 5 },
    );
  });

  it('writes itself when the sink does not lend, at first or later', async () => {
    const path = join(dir, 'out');
    const plain = fileSink(path);
    let left = 3;
    const sink: Sink = { ...plain, lend: () => (left-- > 0 ? (plain.lend?.() ?? null) : null) };
    for (const each of [sink, { ...fileSink(path), lend: () => null }]) {
      const { error, file } = await attempt(each, 77);
      expect(error).toBeUndefined();
      expect(Buffer.compare(await readFile(path), file.bytes)).toBe(0);
    }
  });

  it('writes a damaged range again when the second copy is right', async () => {
    const { sink, seen } = lendingSink(join(dir, 'out'));
    const { error, file } = await attempt(sink, 4, {
      onFetch: ({ index, bytes }) => {
        // A header in the middle, so that slabs before it have been written.
        if (index === 0) bytes[0]?.fill(0xff, 150_000, 170_000);
      },
    });
    expect(error).toBeUndefined();
    expect(Buffer.compare(await readFile(join(dir, 'out')), file.bytes)).toBe(0);
    expect(seen.ended).toBe(seen.loans);
  });

  it('leaves nothing of wrong data, and no loan open', async () => {
    const { sink, seen } = lendingSink(join(dir, 'out'));
    const { error } = await attempt(sink, 5, {
      onFetch: ({ bytes }) => {
        for (const range of bytes) range.fill(0x55, range.length >> 1);
      },
    });
    expect(isOrbweaverError(error)).toBe(true);
    expect(await readdir(dir)).toEqual([]);
    expect(seen.ended).toBe(seen.loans);
  });

  it.skipIf(process.platform !== 'linux')(
    'reports a disk that is full in a thread as DISK_FULL (skipped without /dev/full)',
    async () => {
      const full = await open('/dev/full', 'w');
      const { sink, seen } = lendingSink(join(dir, 'out'), (loan) => ({ ...loan, fd: full.fd }));
      const { error } = await attempt(sink, 6);
      await full.close();
      expect(error).toMatchObject({
        code: 'DISK_FULL',
        fields: { path: join(dir, 'out'), errno: 'ENOSPC' },
      });
      expect(await readdir(dir)).toEqual([]);
      expect(seen.ended).toBe(seen.loans);
    },
  );

  it('removes the file after a cancellation, and gives its loans back', async () => {
    const controller = new AbortController();
    const { sink, seen } = lendingSink(join(dir, 'out'), (loan) => {
      controller.abort();
      return loan;
    });
    const { error } = await attempt(sink, 7, {}, controller.signal);
    expect(error).toMatchObject({ code: 'ABORTED' });
    expect(seen.loans).toBeGreaterThan(0);
    expect(seen.ended).toBe(seen.loans);
    expect(await readdir(dir)).toEqual([]);
  });

  it('gives the file back when a thread dies over it, and removes it', async () => {
    const { sink, seen } = lendingSink(join(dir, 'out'));
    const { file, xorbs } = randomFile(9, SHAPE);
    const pool = testPool(POOL);
    const { decode } = pool;
    let calls = 0;
    const dying = {
      ...pool,
      decode: (request: DecodeRequest): Promise<DecodeResult> => {
        if (++calls < 3) return decode(request);
        return Promise.reject(new OrbweaverError('WORKER_FAILED', 'a worker thread ended'));
      },
    };
    const cas = fakeCas([file], xorbs, { ranges: 'joined' });
    await expect(
      downloadFile({ cas, pool: dying, hasher, fileHash: file.hash, sink }),
    ).rejects.toMatchObject({ code: 'WORKER_FAILED' });
    expect(calls).toBeGreaterThan(2);
    expect(seen.ended).toBe(seen.loans);
    expect(await readdir(dir)).toEqual([]);
  });

  it('tells the pool how many bytes will come as soon as it knows', async () => {
    const { file, xorbs } = randomFile(10, SHAPE);
    const expected: number[] = [];
    const pool = { ...testPool(POOL), expectBytes: (bytes: number) => void expected.push(bytes) };
    const cas = fakeCas([file], xorbs);
    const common = { cas, pool, hasher, fileHash: file.hash };
    await downloadFile({ ...common, sink: testSink(true) });
    await downloadFile({ ...common, sink: testSink(true), range: { offset: 100, length: 50 } });
    expect(expected).toEqual([file.bytes.length, 50]);
  });

  it('does not lend to a thread what only the calling thread can wait for', async () => {
    const sink = testSink(true);
    sink.lend = () => {
      throw new OrbweaverError('INTERNAL', 'not to be asked');
    };
    const { file, xorbs } = randomFile(8, SHAPE);
    const pool = testPool({ ...POOL, threads: 0 });
    const cas = fakeCas([file], xorbs);
    await downloadFile({ cas, pool, hasher, fileHash: file.hash, sink });
    expect(Buffer.compare(sink.bytes(), file.bytes)).toBe(0);
  });
});
