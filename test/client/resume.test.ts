import { spawnSync } from 'node:child_process';
import {
  copyFile,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { planFile } from '../../src/client/downloads.js';
import type { DownloadProgress, DownloadSummary } from '../../src/client/index.js';
import type { ChunkRun, SinkPart } from '../../src/client/ports.js';
import { fileSink, planSink } from '../../src/io/index.js';
import { SYSTEM_CLOCK } from '../../src/platform/index.js';
import { createComputePool } from '../../src/workers/index.js';
import {
  downloadFile,
  type FakeCasOptions,
  fakeCas,
  plainFile,
  type TestFile,
} from './download-support.js';

/** Downloads that go on from what an earlier one left, on real files. */

const CHUNK = 64 * 1024;
/** What a chunk takes in a xorb. */
const RECORD = CHUNK + 8;
const ZERO_CHUNK = 128 * 1024;

type Stored = ReturnType<typeof plainFile>;

/** Random bytes are as long in a xorb as they are in a file. */
function fileOf(seed: number, chunkCount: number, zeros: readonly number[] = []): Stored {
  let state = seed;
  const chunks = Array.from({ length: chunkCount }, (_, i) => {
    const words = new Uint32Array((zeros.includes(i) ? ZERO_CHUNK : CHUNK) / 4);
    if (zeros.includes(i)) return new Uint8Array(words.buffer);
    for (let at = 0; at < words.length; at++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      words[at] = state ^ (state >>> 15);
    }
    return new Uint8Array(words.buffer);
  });
  const { file, xorbs } = plainFile(chunks);
  const [whole] = file.terms;
  // A term for each chunk, as a server that cuts a range down to chunks would say it.
  const terms = chunks.map(({ length }, chunkStart) => ({
    xorb: (whole as (typeof file.terms)[number]).xorb,
    unpackedBytes: length,
    chunkStart,
    chunkEnd: chunkStart + 1,
  }));
  return { file: { ...file, terms }, xorbs };
}

let dir = '';
let pool: Awaited<ReturnType<typeof createComputePool>>;
const at = (name: string): string => join(dir, name);

beforeAll(async () => {
  pool = await createComputePool({ threads: 0, maxMemory: 4 << 20 });
});
afterAll(() => pool.close());
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'orbweaver-resume-'));
});
afterEach(async () => {
  expect(pool.freeSlabs).toBe(pool.slabCount);
  await rm(dir, { recursive: true });
});

interface RunOptions extends FakeCasOptions {
  readonly signal?: AbortSignal;
  readonly anew?: boolean;
  readonly out?: string;
  readonly onNoted?: (chunkCount: number) => void;
  readonly onProgress?: (progress: DownloadProgress) => void;
  readonly getFileSize?: () => Promise<number>;
}

function download(
  { file, xorbs }: Stored,
  { signal, anew, out = 'out', onNoted, onProgress, getFileSize, ...options }: RunOptions = {},
): Promise<DownloadSummary> {
  const sink = fileSink(at(out), { keepAs: file.hash.toString(), anew });
  const part = sink.part as SinkPart;
  const { note } = part;
  Object.assign(part, {
    note: (run: ChunkRun) => {
      onNoted?.(run.lengths.length);
      return note(run);
    },
  });
  return downloadFile({
    cas: { ...fakeCas([file], xorbs, options), ...(getFileSize && { getFileSize }) },
    pool,
    hasher: pool.kernels.hasher,
    fileHash: file.hash,
    sink,
    concurrency: 2,
    signal,
    onProgress,
  });
}

/** Stops a download as soon as this many chunks are noted, those of earlier runs included. */
async function interrupt(stored: Stored, chunkCount: number): Promise<unknown> {
  const cancel = new AbortController();
  let noted = 0;
  const run = download(stored, {
    signal: cancel.signal,
    ...inPieces(),
    onFetch: () => (noted < chunkCount ? undefined : endOf(cancel.signal)),
    onNoted: (count) => {
      noted += count;
      if (noted >= chunkCount) setImmediate(() => cancel.abort());
    },
  });
  const error = await run.catch((reason: unknown) => reason);
  expect(error).toMatchObject({ code: 'ABORTED', fields: { keptBytes: expect.any(Number) } });
  return error;
}

/** A fetch that brings nothing until the download is over. */
function endOf(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
}

/** Fetch ranges of 16 chunks at most. */
function inPieces(): Pick<FakeCasOptions, 'onReconstruction'> {
  return {
    onReconstruction: (reply) => ({
      ...reply,
      fetches: reply.fetches.map((fetch) => ({
        ...fetch,
        entries: fetch.entries.flatMap(({ url, ranges }) =>
          ranges.flatMap((range) => {
            const entries = [];
            for (let start = range.chunkStart; start < range.chunkEnd; start += 16) {
              const end = Math.min(range.chunkEnd, start + 16);
              const from = range.byteStart + RECORD * (start - range.chunkStart);
              const piece = { chunkStart: start, chunkEnd: end, byteStart: from };
              entries.push({ url, ranges: [{ ...piece, byteEnd: from + RECORD * (end - start) }] });
            }
            return entries;
          }),
        ),
      })),
    }),
  };
}

async function partOf(): Promise<string> {
  const name = (await readdir(dir)).find((each) => each.endsWith('.orbweaver-part'));
  return at(name as string);
}

async function ledgerOf(): Promise<string> {
  const name = (await readdir(dir)).find((each) => each.endsWith('.orbweaver-ledger'));
  return at(name as string);
}

async function expectWhole({ file }: { readonly file: TestFile }, out = 'out'): Promise<void> {
  expect(Buffer.compare(await readFile(at(out)), file.bytes)).toBe(0);
  expect((await readdir(dir)).filter((name) => name.startsWith('.'))).toEqual([]);
}

describe('a download that was interrupted', () => {
  const stored = fileOf(1, 96);
  const sizeBytes = stored.file.bytes.length;

  it('is gone on with when the run before was killed before it noted anything', async () => {
    await interrupt(stored, 40);
    // What a kill right after the first byte leaves: a part, and a list without entries.
    await truncate(await ledgerOf(), 0);
    await interrupt(stored, 40);
    expect((await readdir(dir)).filter((name) => name.endsWith('-ledger-new'))).toEqual([]);
    const { resumedBytes } = await download(stored);
    expect(resumedBytes).toBeGreaterThanOrEqual(40 * CHUNK);
    await expectWhole(stored);
  });

  it('goes on, and what was verified is not fetched again', async () => {
    await interrupt(stored, 48);
    expect(await readdir(dir)).toHaveLength(2);
    const second = await download(stored);
    expect(second.resumedBytes).toBeGreaterThanOrEqual(3 * 16 * CHUNK);
    expect(second.fetchedBytes).toBe(((sizeBytes - second.resumedBytes) / CHUNK) * RECORD);
    expect(second).toMatchObject({ sizeBytes, verified: true });
    await expectWhole(stored);
  });

  it('tells what it reads back, and the whole from the start on', async () => {
    await interrupt(stored, 48);
    const seen: DownloadProgress[] = [];
    const { resumedBytes } = await download(stored, {
      onProgress: (each) => seen.push(each),
      getFileSize: async () => sizeBytes,
    });
    const phases = [...new Set(seen.map(({ phase }) => phase))];
    expect(phases).toEqual(['resuming', 'fetching', 'verifying', 'done']);
    const reading = seen.filter(({ phase, file }) => phase === 'resuming' && file !== null);
    expect(reading.length).toBeGreaterThan(1);
    const last = { name: at('out'), readBytes: resumedBytes, sizeBytes: resumedBytes };
    expect(reading.at(-1)).toMatchObject({ file: last, resumedBytes, writtenBytes: resumedBytes });
    for (const [i, { writtenBytes, totalBytes }] of seen.slice(1).entries()) {
      expect(writtenBytes).toBeGreaterThanOrEqual(seen[i]?.writtenBytes ?? 0);
      expect(totalBytes).toBe(sizeBytes);
    }
    expect(seen.at(-1)).toMatchObject({ writtenBytes: sizeBytes, resumedBytes, secondsLeft: 0 });
  });

  it('is planned without being touched: what is there, what would be fetched, and from where', async () => {
    await interrupt(stored, 48);
    const before = await readdir(dir);
    const { file, xorbs } = stored;
    const plan = await planFile({
      ...{ cas: fakeCas([file], xorbs), pool, hasher: pool.kernels.hasher, clock: SYSTEM_CLOCK },
      ...{
        fileHash: file.hash,
        sink: planSink(at('out'), { keepAs: file.hash.toString(), anew: false }),
      },
    });
    expect(await readdir(dir)).toEqual(before);
    const done = await download(stored);
    expect(plan).toMatchObject({ sizeBytes, resumedBytes: done.resumedBytes, seededBytes: 0 });
    expect(plan.fetchBytes).toBe(done.fetchedBytes);
    expect(plan.hosts.map(({ fetchBytes }) => fetchBytes)).toEqual([done.fetchedBytes]);
  });

  it('says how much is kept, and keeps the old file until the end', async () => {
    await writeFile(at('out'), 'old');
    const error = await interrupt(stored, 64);
    expect(await readFile(at('out'), 'utf8')).toBe('old');
    expect((await download(stored)).resumedBytes).toBe(
      (error as { fields: { keptBytes: number } }).fields.keptBytes,
    );
    await expectWhole(stored);
  });

  it('goes on as often as it is interrupted', async () => {
    for (const count of [16, 40, 50, 64]) await interrupt(stored, count);
    const last = await download(stored);
    expect(last.resumedBytes).toBeGreaterThanOrEqual(64 * CHUNK);
    await expectWhole(stored);
  });

  it('fetches only the damaged part of a part that was damaged', async () => {
    for (const damage of ['flip', 'tail', 'longer', 'gone'] as const) {
      await interrupt(stored, 64);
      const part = await partOf();
      const { size } = await stat(part);
      if (damage === 'flip') {
        const file = await open(part, 'r+');
        await file.write(new Uint8Array([1, 2, 3]), 0, 3, 5 * CHUNK + 70);
        await file.close();
      } else if (damage === 'tail') await truncate(part, size - 100);
      else if (damage === 'longer') await truncate(part, sizeBytes + 1000);
      else await truncate(part, 0);
      const second = await download(stored);
      await expectWhole(stored);
      const lost = { flip: 1, tail: 1, longer: 0, gone: 64 }[damage];
      expect(second.fetchedBytes, damage).toBe(
        ((sizeBytes - second.resumedBytes) / CHUNK) * RECORD,
      );
      expect(second.resumedBytes, damage).toBeGreaterThanOrEqual((64 - lost) * CHUNK);
      if (damage === 'flip') expect(second.resumedBytes % (16 * CHUNK)).not.toBe(0);
    }
  });

  it('is right whatever its list of chunks says', async () => {
    for (const damage of ['empty', 'torn', 'noise', 'gone'] as const) {
      await interrupt(stored, 64);
      const ledger = await ledgerOf();
      const bytes = await readFile(ledger);
      if (damage === 'empty') await truncate(ledger, 0);
      else if (damage === 'torn') await truncate(ledger, bytes.length - 7);
      else if (damage === 'gone') await rm(ledger);
      else {
        for (let i = 3; i < bytes.length; i += 97) bytes[i] = (bytes[i] as number) ^ 0x55;
        await writeFile(ledger, bytes);
      }
      await download(stored);
      await expectWhole(stored);
    }
  });

  it('starts over when what was kept is of another file', async () => {
    const other = fileOf(2, 80);
    await interrupt(other, 50);
    const tag = other.file.hash.toString().slice(0, 16);
    for (const name of await readdir(dir)) {
      await rename(at(name), at(name.replace(tag, stored.file.hash.toString().slice(0, 16))));
    }
    const result = await download(stored);
    expect(result).toMatchObject({ resumedBytes: 0, sizeBytes, verified: true });
    await expectWhole(stored);
  });

  it('begins anew when that is asked for', async () => {
    await interrupt(stored, 64);
    const result = await download(stored, { anew: true });
    expect(result).toMatchObject({ resumedBytes: 0 });
    expect(Buffer.compare(await readFile(at('out')), stored.file.bytes)).toBe(0);
  });

  it('writes zeros where the part has something else, and keeps holes elsewhere', async () => {
    const withZeros = fileOf(3, 80, [10, 11, 12, 60, 79]);
    const run = download(withZeros, {
      pieceBytes: 1 << 20,
      onFetch: ({ bytes }) => {
        const [all] = bytes as [Uint8Array];
        // The last chunks do not come.
        bytes[0] = all.subarray(0, all.length - 200_000);
        return undefined;
      },
    });
    await expect(run).rejects.toMatchObject({ code: 'TRUNCATED' });
    const part = await partOf();
    const file = await open(part, 'r+');
    await file.write(new Uint8Array(3 * ZERO_CHUNK).fill(7), 0, 3 * ZERO_CHUNK, 10 * CHUNK);
    await file.close();
    const second = await download(withZeros);
    expect(second.resumedBytes).toBeGreaterThan(0);
    await expectWhole(withZeros);
  });

  it('is left alone by a second one with the same target, which has a part of its own', async () => {
    let letGo = (): void => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    let started = (): void => {};
    const begun = new Promise<void>((resolve) => {
      started = resolve;
    });
    const first = download(stored, {
      ...inPieces(),
      onFetch: ({ index }) => {
        if (index < 4) return undefined;
        started();
        return held;
      },
    });
    await begun;
    expect(await download(stored)).toMatchObject({ resumedBytes: 0, verified: true });
    expect(Buffer.compare(await readFile(at('out')), stored.file.bytes)).toBe(0);
    letGo();
    expect(await first).toMatchObject({ verified: true });
    await expectWhole(stored);
  });

  it('leaves nothing when the data is wrong in the end', async () => {
    const run = download(stored, {
      onFetch: ({ bytes }) => {
        bytes[0]?.fill(0x55, 3000, 3100);
      },
    });
    await expect(run).rejects.toMatchObject({ code: 'INTEGRITY' });
    expect(await readdir(dir)).toEqual([]);
  });

  it('is forgotten after a week, at once when nobody could go on with it', async () => {
    await interrupt(stored, 64);
    const part = await partOf();
    const ledger = await ledgerOf();
    const { pid: dead } = spawnSync(process.execPath, ['-e', '']);
    const useless = part.replace(/-[0-9a-f]{8}\.orbweaver-part$/, '-00000000.orbweaver-part');
    await copyFile(part, useless);
    const other = fileOf(4, 2);
    // Another version of the same target: what it left may still be gone on with.
    await download(other);
    const left = await readdir(dir);
    expect(left.sort()).toEqual(
      [part, ledger]
        .map((path) => path.slice(dir.length + 1))
        .concat('out')
        .sort(),
    );
    expect(dead).toBeGreaterThan(0);
    const old = Date.now() / 1000 - 8 * 24 * 3600;
    await utimes(part, old, old);
    await download(other, { out: 'elsewhere' });
    expect((await readdir(dir)).sort()).toEqual(['elsewhere', 'out']);
  });
});
