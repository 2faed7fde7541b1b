import { describe, expect, it } from 'vitest';
import type { KnownChunkHashes } from '../../src/client/index.js';
import type { DecodeRequest, DecodeResult, Sink } from '../../src/client/ports.js';
import { OrbweaverError } from '../../src/errors.js';
import { Budget, Scope } from '../../src/flow/index.js';
import { fileHash as hashOf } from '../../src/hash/index.js';
import {
  createDice,
  downloadFile,
  fakeCas,
  hasher,
  plainFile,
  randomFile,
  testPool,
  testSink,
} from './download-support.js';

const POOL = { slabBytes: 140_000, slabCount: 6 };
const CHUNK_BYTES = 20_000;
const CHUNKS = 40;

const dice = createDice(9);
/** 40 chunks that are stored as they are: a flipped bit of them decodes to something. */
const { file, xorbs } = plainFile(
  Array.from({ length: CHUNKS }, () => Uint8Array.from({ length: CHUNK_BYTES }, () => dice(256))),
);
const [xorb] = xorbs as [(typeof xorbs)[number]];
const common = { hasher, fileHash: file.hash };

/** The same in four terms. */
const quartered = {
  ...file,
  terms: [0, 10, 20, 30].map((chunkStart) => ({
    xorb: xorb.hash,
    chunkStart,
    chunkEnd: chunkStart + 10,
    unpackedBytes: 10 * CHUNK_BYTES,
  })),
};

function flip(bytes: Uint8Array | undefined, at: number): void {
  if (bytes !== undefined) bytes[at] = (bytes[at] as number) ^ 1;
}

/** The chunks `[first, last)` of the file, as somebody else knows them. */
function knownChunks(first: number, last: number): KnownChunkHashes {
  return {
    offset: first * CHUNK_BYTES,
    lengths: Array.from({ length: last - first }, () => CHUNK_BYTES),
    hashes: xorb.chunkHashes.slice(32 * first, 32 * last),
  };
}

describe('what a download says it has verified', () => {
  it('is a whole file, also when it is asked for from 0, or beyond its end', async () => {
    for (const range of [
      undefined,
      { offset: 0 },
      { offset: 0, length: file.bytes.length },
      { offset: 0, length: file.bytes.length + 5 },
    ]) {
      for (const positional of [true, false]) {
        const sink = testSink(positional);
        const cas = fakeCas([file], xorbs);
        const result = await downloadFile({ ...common, cas, pool: testPool(POOL), sink, range });
        expect(result.verified).toBe(true);
      }
    }
  });

  it('is no other range', async () => {
    for (const range of [
      { offset: 1 },
      { offset: 0, length: 100 },
      { offset: 0, length: 30 * CHUNK_BYTES },
      { offset: CHUNK_BYTES, length: CHUNK_BYTES },
    ]) {
      const sink = testSink(true);
      const cas = fakeCas([quartered], xorbs);
      const result = await downloadFile({ ...common, cas, pool: testPool(POOL), sink, range });
      expect(result.verified).toBe(false);
    }
  });

  it('fails for a damaged file that is asked for from 0', async () => {
    const cas = fakeCas([file], xorbs, { onFetch: ({ bytes }) => flip(bytes[0], 5000) });
    const sink = testSink(false);
    const range = { offset: 0 };
    await expect(
      downloadFile({ ...common, cas, pool: testPool(POOL), sink, range }),
    ).rejects.toMatchObject({ code: 'INTEGRITY' });
  });

  it('is a range that known chunk hashes cover, wherever it begins', async () => {
    for (const [range, first, last, verified] of [
      [{ offset: 3 * CHUNK_BYTES, length: 2 * CHUNK_BYTES }, 3, 5, true],
      [{ offset: 3 * CHUNK_BYTES + 77, length: CHUNK_BYTES }, 3, 5, true],
      [{ offset: 3 * CHUNK_BYTES + 77, length: CHUNK_BYTES }, 0, 40, true],
      [{ offset: 3 * CHUNK_BYTES, length: 2 * CHUNK_BYTES }, 3, 4, false],
      [{ offset: 3 * CHUNK_BYTES, length: 2 * CHUNK_BYTES }, 7, 9, false],
    ] as const) {
      const sink = testSink(true);
      const cas = fakeCas([file], xorbs);
      const knownChunkHashes = knownChunks(first, last);
      const options = { ...common, cas, pool: testPool(POOL), sink, range, knownChunkHashes };
      const result = await downloadFile(options);
      expect(result.verified).toBe(verified);
      const expected = file.bytes.subarray(range.offset, range.offset + range.length);
      expect(Buffer.compare(sink.bytes(), expected)).toBe(0);
    }
  });

  it('refuses a chunk that is not the known one before it is written, and names it', async () => {
    for (const flips of [1, 2]) {
      const cas = fakeCas([file], xorbs, {
        onFetch: ({ index, bytes }) => {
          if (index < flips) flip(bytes[0], (xorb.recordEnds[4] as number) + 100);
        },
      });
      const sink = testSink(false);
      const range = { offset: 2 * CHUNK_BYTES, length: 20 * CHUNK_BYTES };
      const knownChunkHashes = knownChunks(0, 40);
      const options = { ...common, cas, pool: testPool(POOL), sink, range, knownChunkHashes };
      const download = downloadFile(options);
      if (flips === 1) {
        expect(await download).toMatchObject({ verified: true });
        const expected = file.bytes.subarray(range.offset, range.offset + range.length);
        expect(Buffer.compare(sink.bytes(), expected)).toBe(0);
      } else {
        await expect(download).rejects.toMatchObject({
          code: 'INTEGRITY',
          fields: { xorb: xorb.hash.toString(), chunk: 5 },
        });
      }
      expect(cas.fetches.length).toBe(2);
    }
  });

  it('finds with known hashes that a range was shifted', async () => {
    const cas = fakeCas([file], xorbs, {
      onReconstruction: (answer) => ({
        ...answer,
        offsetIntoFirstTerm: answer.offsetIntoFirstTerm ^ 64,
      }),
    });
    const sink = testSink(true);
    const range = { offset: 3 * CHUNK_BYTES, length: 500 };
    const knownChunkHashes = knownChunks(0, 40);
    const options = { ...common, cas, pool: testPool(POOL), sink, range, knownChunkHashes };
    await expect(downloadFile(options)).rejects.toMatchObject({ code: 'INTEGRITY' });
  });
});

describe('a bit that was flipped inside a payload', () => {
  it('is found and mended in a file when it was flipped on the wire: only its xorb comes again', async () => {
    // Two xorbs, both used whole.
    const other = plainFile(Array.from({ length: 9 }, (_, i) => new Uint8Array(900 + i).fill(i)));
    const both = mergeFiles(file, other.file, [xorb, ...other.xorbs]);
    const cas = fakeCas([both.file], both.xorbs, {
      onFetch: ({ index, url, bytes }) => {
        if (index < 2 && url.includes(xorb.hash.toString())) flip(bytes[0], 300_000);
      },
    });
    const sink = testSink(true);
    const fileHash = both.file.hash;
    const result = await downloadFile({ cas, pool: testPool(POOL), hasher, fileHash, sink });
    expect(result.verified).toBe(true);
    expect(Buffer.compare(sink.bytes(), both.file.bytes)).toBe(0);
    expect(cas.fetches.map(({ url }) => url.includes(xorb.hash.toString()))).toEqual([
      true,
      false,
      true,
    ]);
    expect(result.sizeBytes).toBe(both.file.bytes.length);
  });

  it('is named with its xorb and chunks when it comes again, and for a stream', async () => {
    for (const positional of [true, false]) {
      const pool = testPool(POOL);
      const cas = fakeCas([file], xorbs, { onFetch: ({ bytes }) => flip(bytes[0], 300_000) });
      const sink = testSink(positional);
      await expect(downloadFile({ ...common, cas, pool, sink })).rejects.toMatchObject({
        code: 'INTEGRITY',
        fields: { xorb: xorb.hash.toString(), chunkStart: 0, chunkEnd: CHUNKS, suspectCount: 1 },
      });
      expect(cas.fetches.length).toBe(positional ? 2 : 1);
      expect(sink.state).toBe('aborted');
      expect(pool.freeSlabs).toBe(POOL.slabCount);
    }
  });

  it('is mended in files of several blocks', async () => {
    const pool = testPool(POOL);
    let isFlipped = false;
    const cas = fakeCas([quartered], xorbs, {
      onFetch: ({ bytes }) => {
        if (!isFlipped && cas.fetches.length === 2) {
          isFlipped = true;
          flip(bytes[0], 1000);
        }
      },
    });
    const sink = testSink(true);
    const blockBytes = 10 * CHUNK_BYTES;
    await downloadFile({ ...common, cas, pool, sink, blockBytes });
    expect(isFlipped).toBe(true);
    expect(Buffer.compare(sink.bytes(), file.bytes)).toBe(0);
  });
});

describe('a task whose worker died', () => {
  const dying = (sharedMemory: boolean, deaths: number) => {
    const pool = testPool(POOL);
    const { decode } = pool;
    let calls = 0;
    return Object.assign(pool, {
      sharedMemory,
      decode: (request: DecodeRequest): Promise<DecodeResult> =>
        ++calls > 2 && calls <= 2 + deaths
          ? Promise.reject(new OrbweaverError('WORKER_FAILED', 'a worker thread ended'))
          : decode(request),
    });
  };

  it('is done once more, on the bytes that are there or on new ones', async () => {
    for (const sharedMemory of [true, false]) {
      const pool = dying(sharedMemory, 1);
      const cas = fakeCas([file], xorbs);
      const sink = testSink(true);
      await downloadFile({ ...common, cas, pool, sink });
      expect(Buffer.compare(sink.bytes(), file.bytes)).toBe(0);
      expect(cas.fetches.length).toBe(sharedMemory ? 1 : 2);
    }
  });

  it('fails the download when workers die again and again', async () => {
    for (const sharedMemory of [true, false]) {
      const pool = dying(sharedMemory, 99);
      const sink = testSink(true);
      await expect(
        downloadFile({ ...common, cas: fakeCas([file], xorbs), pool, sink }),
      ).rejects.toMatchObject({ code: 'WORKER_FAILED' });
      expect(sink.state).toBe('aborted');
      expect(pool.freeSlabs).toBe(POOL.slabCount);
    }
  });
});

describe('what a download keeps beside slabs', () => {
  it('is counted in its budget, whatever is downloaded, and given back', async () => {
    const budget = new Budget({ capacityBytes: 1 << 20 });
    for (const positional of [true, false]) {
      const sink = testSink(positional);
      const blockBytes = 5 * CHUNK_BYTES;
      const cas = fakeCas([file], xorbs);
      await downloadFile({ ...common, cas, pool: testPool(POOL), sink, budget, blockBytes });
      expect(Buffer.compare(sink.bytes(), file.bytes)).toBe(0);
      expect(budget.usedBytes).toBe(0);
    }
    expect(budget.peakBytes).toBeGreaterThan(36 * CHUNKS);
    const cas = fakeCas([file], xorbs, { onFetch: ({ bytes }) => flip(bytes[0], 9) });
    const sink = testSink(true);
    await expect(
      downloadFile({ ...common, cas, pool: testPool(POOL), sink, budget }),
    ).rejects.toThrow();
    expect(budget.usedBytes).toBe(0);
  });

  it('waits for others, and never keeps more than the budget', async () => {
    const budget = new Budget({ capacityBytes: 70_000 });
    const scope = new Scope();
    const others = await budget.acquire(60_000, scope);
    const jobs = [1, 2, 3].map((seed) => {
      const built = randomFile(seed, { xorbs: 3, chunksPerXorb: 20, chunkBytes: 5000, runs: 30 });
      const sink = testSink(seed === 2);
      const cas = fakeCas([built.file], built.xorbs);
      const fileHash = built.file.hash;
      const pool = testPool({ slabBytes: 140_000, slabCount: 12 });
      return {
        built,
        sink,
        cas,
        done: downloadFile({ cas, pool, hasher, fileHash, sink, budget }),
      };
    });
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(jobs.every(({ cas }) => cas.fetches.length === 0)).toBe(true);
    others.release();
    for (const { done, sink, built } of jobs) {
      await done;
      expect(Buffer.compare(sink.bytes(), built.file.bytes)).toBe(0);
    }
    expect(budget.peakBytes).toBeLessThanOrEqual(70_000);
    expect(budget.usedBytes).toBe(0);
  });
});

describe('zeros', () => {
  it('are left out where the sink has them, and nowhere else', async () => {
    const zero = new Uint8Array(131_072);
    const built = plainFile([zero, zero, new Uint8Array(5000).fill(7), zero, new Uint8Array(90)]);
    for (const canSkip of [true, false]) {
      const sink: Sink & { bytes: () => Uint8Array } = testSink(true);
      const skipped: [number, number][] = [];
      const written: number[] = [];
      const { write, commit } = sink;
      sink.write = (bytes, offset) => {
        written.push(bytes.length);
        return write(bytes, offset);
      };
      if (canSkip) {
        sink.skip = (offset, lengthBytes) => void skipped.push([offset, lengthBytes]);
        sink.commit = (sizeBytes) => commit(sizeBytes);
      }
      const cas = fakeCas([built.file], built.xorbs);
      const fileHash = built.file.hash;
      const pool = testPool({ slabBytes: 600_000, slabCount: 2 });
      const result = await downloadFile({ cas, pool, hasher, fileHash, sink });
      expect(result.sizeBytes).toBe(built.file.bytes.length);
      const sum = written.reduce((total, bytes) => total + bytes, 0);
      expect(sum).toBe(canSkip ? 5090 : built.file.bytes.length);
      expect(skipped).toEqual(
        canSkip
          ? [
              [0, 262_144],
              [267_144, 131_072],
            ]
          : [],
      );
      expect(Buffer.compare(sink.bytes(), built.file.bytes)).toBe(0);
    }
  });
});

/** One file after another. */
function mergeFiles(
  a: typeof file,
  b: typeof file,
  all: typeof xorbs,
): { file: typeof file; xorbs: typeof xorbs } {
  const bytes = new Uint8Array(a.bytes.length + b.bytes.length);
  bytes.set(a.bytes);
  bytes.set(b.bytes, a.bytes.length);
  const lengths: number[] = [];
  const hashes: Uint8Array[] = [];
  for (const each of all) {
    hashes.push(each.chunkHashes);
    each.rawEnds.forEach((end, i) => {
      lengths.push(end - (each.rawEnds[i - 1] ?? 0));
    });
  }
  const packed = new Uint8Array(Buffer.concat(hashes));
  return {
    file: { bytes, terms: [...a.terms, ...b.terms], hash: hashOf(hasher, packed, lengths) },
    xorbs: all,
  };
}
