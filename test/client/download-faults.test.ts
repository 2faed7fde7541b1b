import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { DownloadOptions } from '../../src/client/index.js';

import type { Sink } from '../../src/client/ports.js';
import { isOrbweaverError, OrbweaverError } from '../../src/errors.js';
import type { Reconstruction } from '../../src/plan/index.js';
import {
  createDice,
  downloadFile,
  type FakeCasOptions,
  fakeCas,
  hasher,
  plainFile,
  randomFile,
  testPool,
  testSink,
} from './download-support.js';

const POOL = { slabBytes: 140_000, slabCount: 6 };

function chunks(count: number, bytes: number, spread = 256): Uint8Array[] {
  const dice = createDice(3);
  return Array.from({ length: count }, () =>
    Uint8Array.from({ length: bytes }, () => dice(spread)),
  );
}

/** Files of 40 chunks, of few different bytes (compressed) or of any (stored as they are). */
const FILES = {
  3: plainFile(chunks(40, 20_000, 3)),
  256: plainFile(chunks(40, 20_000, 256)),
};

/** A download of a file of 40 chunks with whatever is wrong with the store or the sink. */
async function attempt(
  faults: FakeCasOptions & {
    positional?: boolean;
    sink?: Sink;
    options?: Partial<DownloadOptions>;
    spread?: 3 | 256;
  },
) {
  const { file, xorbs } = FILES[faults.spread ?? 256];
  const pool = testPool(POOL);
  const sink = testSink(faults.positional ?? true);
  const cas = fakeCas([file], xorbs, { pieceBytes: 30_000, ...faults });
  const download = downloadFile({
    cas,
    pool,
    hasher,
    fileHash: file.hash,
    sink: faults.sink ?? sink,
    ...faults.options,
  });
  const outcome = await download.then(
    (summary) => ({ summary, error: undefined }),
    (error: unknown) => ({ summary: undefined, error }),
  );
  expect(pool.freeSlabs).toBe(pool.slabCount);
  expect(cas.openFetches).toBe(0);
  return { ...outcome, file, sink, cas };
}

describe('downloadFile, when something goes wrong', () => {
  it('ends in a code for any flipped bit, with nothing committed but the right bytes', async () => {
    const codes = new Set<string>();
    await fc.assert(
      fc.asyncProperty(
        fc.double({ min: 0, max: 0.99999, noNaN: true }),
        fc.integer({ min: 0, max: 7 }),
        fc.boolean(),
        fc.constantFrom(3 as const, 256 as const),
        async (where, bit, positional, spread) => {
          const { error, sink, file } = await attempt({
            positional,
            spread,
            onFetch: ({ bytes }) => {
              const [range] = bytes as [Uint8Array];
              const at = Math.floor(where * range.length);
              range[at] = (range[at] as number) ^ (1 << bit);
            },
          });
          if (error === undefined) {
            expect(sink.state).toBe('committed');
            expect(Buffer.compare(sink.bytes(), file.bytes)).toBe(0);
            return;
          }
          if (!isOrbweaverError(error)) throw error;
          codes.add(error.code);
          expect(sink.state).toBe('aborted');
        },
      ),
      { numRuns: 40, seed: 11 },
    );
    expect([...codes]).toContain('INTEGRITY');
  });

  it('fetches a damaged range once more, and is right when the second copy is', async () => {
    for (const positional of [true, false]) {
      const { error, sink, file, cas } = await attempt({
        positional,
        spread: 3,
        onFetch: ({ index, bytes }) => {
          // Somewhere in the middle, so that slabs before it have been written already.
          if (index === 0) bytes[0]?.fill(0xff, 250_000, 250_100);
        },
      });
      expect(error).toBeUndefined();
      expect(cas.fetches.length).toBe(2);
      expect(sink.state).toBe('committed');
      expect(Buffer.compare(sink.bytes(), file.bytes)).toBe(0);
    }
  });

  it('names the xorb and the chunk when both copies are damaged', async () => {
    const { xorbs } = FILES[3];
    const { error, cas, sink } = await attempt({
      spread: 3,
      onFetch: ({ bytes }) => {
        // The payload of chunk 25: its header stays as it is.
        const at = (xorbs[0]?.recordEnds[24] as number) + 8 + 15;
        bytes[0]?.fill(0xff, at, at + 400);
      },
    });
    const xorb = xorbs[0]?.hash.toString() as string;
    expect(error).toMatchObject({ fields: { xorb, chunk: 25 } });
    expect((error as Error).message).toContain(xorb);
    expect(isOrbweaverError(error) && error.retryable).toBe(false);
    expect(cas.fetches.length).toBe(2);
    expect(sink.state).toBe('aborted');
  });

  it('refuses truncated answers, wherever they end', async () => {
    for (const keep of [0, 1, 7, 8, 9, 20_008, 20_015, 400_000, 800_319]) {
      const { error, sink } = await attempt({
        onFetch: ({ bytes }) => {
          bytes[0] = bytes[0]?.subarray(0, keep) as Uint8Array;
        },
      });
      expect(error, `${keep} bytes`).toMatchObject({ code: 'TRUNCATED' });
      expect(sink.state).toBe('aborted');
    }
  });

  it('refuses answers that are longer than the range', async () => {
    const { error } = await attempt({
      onFetch: ({ bytes }) => {
        const [range] = bytes as [Uint8Array];
        bytes[0] = Uint8Array.from({ length: range.length + 1 }, (_, i) => range[i] ?? 0);
      },
    });
    expect(error).toMatchObject({ code: 'SIZE_MISMATCH' });
  });

  it('refuses a right file under another name: the hash is rebuilt', async () => {
    const { file, xorbs } = plainFile(chunks(3, 1000));
    const { file: other } = plainFile(chunks(3, 1001));
    for (const positional of [true, false]) {
      const lying = { ...file, hash: other.hash };
      const sink = testSink(positional);
      const pool = testPool(POOL);
      const cas = fakeCas([lying], xorbs);
      const download = downloadFile({ cas, pool, hasher, fileHash: other.hash, sink });
      await expect(download).rejects.toMatchObject({
        code: 'INTEGRITY',
        fields: { expected: other.hash.toString(), got: file.hash.toString() },
      });
      expect(sink.state).toBe('aborted');
      // What a stream has passed on cannot be taken back, and the error says so.
      if (!positional) await expect(download).rejects.toThrow(/not to be trusted/);
    }
  });

  it.each([
    ['a term shorter than its chunks', -1],
    ['a term longer than its chunks', 1],
  ])('refuses %s', async (_, change) => {
    for (const positional of [true, false]) {
      const { error, sink } = await attempt({
        positional,
        onReconstruction: (answer) => ({
          ...answer,
          terms: answer.terms.map((term) => ({
            ...term,
            unpackedBytes: term.unpackedBytes + change,
          })),
        }),
      });
      expect(error).toMatchObject({ code: 'SIZE_MISMATCH' });
      expect(sink.state).toBe('aborted');
    }
  });

  it('refuses terms whose lengths are wrong but add up', async () => {
    const { file, xorbs } = randomFile(8, { xorbs: 2, chunksPerXorb: 5, chunkBytes: 900, runs: 4 });
    for (const positional of [true, false]) {
      const sink = testSink(positional);
      const pool = testPool(POOL);
      const cas = fakeCas([file], xorbs, {
        onReconstruction: (answer) => ({
          ...answer,
          terms: answer.terms.map((term, i) => ({
            ...term,
            unpackedBytes: term.unpackedBytes + (i === 0 ? -1 : i === 1 ? 1 : 0),
          })),
        }),
      });
      const download = downloadFile({ cas, pool, hasher, fileHash: file.hash, sink });
      await expect(download).rejects.toMatchObject({ code: 'SIZE_MISMATCH' });
      expect(sink.state).toBe('aborted');
      expect(pool.freeSlabs).toBe(pool.slabCount);
    }
  });

  it('refuses an answer that claims absurd numbers of chunks', async () => {
    const absurd = (answer: Reconstruction, chunkEnd: number): Reconstruction => ({
      ...answer,
      terms: answer.terms.map((term) => ({ ...term, chunkEnd })),
      fetches: answer.fetches.map((fetch) => ({
        ...fetch,
        entries: fetch.entries.map((entry) => ({
          ...entry,
          ranges: entry.ranges.map((range) => ({ ...range, chunkEnd })),
        })),
      })),
    });
    for (const chunkEnd of [8193, 2 ** 31]) {
      const { error } = await attempt({ onReconstruction: (answer) => absurd(answer, chunkEnd) });
      expect(error).toMatchObject({ code: 'LIMIT_EXCEEDED' });
    }
  });

  it('asks for new URLs once when many have expired, and goes on', async () => {
    const { file, xorbs } = randomFile(4, {
      xorbs: 9,
      chunksPerXorb: 9,
      chunkBytes: 3000,
      runs: 40,
    });
    for (const positional of [true, false]) {
      const sink = testSink(positional);
      const pool = testPool(POOL);
      const cas = fakeCas([file], xorbs, {
        onFetch: async ({ url }) => {
          await new Promise((resolve) => setImmediate(resolve));
          if (url.endsWith('generation=1')) {
            throw new OrbweaverError('FORBIDDEN', 'signature has expired', { expired: true });
          }
        },
      });
      const fileHash = file.hash;
      await downloadFile({ cas, pool, hasher, fileHash, sink, concurrency: 3 });
      expect(cas.reconstructions.length).toBe(2);
      expect(cas.reconstructions[0]).toEqual(cas.reconstructions[1]);
      expect(Buffer.compare(sink.bytes(), file.bytes)).toBe(0);
      expect(pool.freeSlabs).toBe(pool.slabCount);
    }
  });

  it('continues after the last decoded chunk when a URL expires in the middle', async () => {
    const { error, sink, file } = await attempt({
      positional: false,
      onFetch: ({ index, bytes }) => {
        if (index > 0) return;
        const [range] = bytes as [Uint8Array];
        Object.defineProperty(bytes, 'entries', {
          value: function* () {
            yield [0, range.subarray(0, 400_000)];
            throw new OrbweaverError('FORBIDDEN', 'signature has expired', { expired: true });
          },
        });
      },
    });
    expect(error).toBeUndefined();
    expect(Buffer.compare(sink.bytes(), file.bytes)).toBe(0);
  });

  it('gives up on URLs that expire again and again, and on a 403 that is no expiry at once', async () => {
    const expired = await attempt({
      onFetch: () => {
        throw new OrbweaverError('FORBIDDEN', 'signature has expired', { expired: true });
      },
    });
    expect(expired.error).toMatchObject({ code: 'FORBIDDEN' });
    expect(expired.cas.reconstructions.length).toBe(4);
    const forbidden = await attempt({
      onFetch: () => {
        throw new OrbweaverError('FORBIDDEN', 'no');
      },
    });
    expect(forbidden.error).toMatchObject({ code: 'FORBIDDEN' });
    expect(forbidden.cas.fetches.length).toBe(1);
  });

  it('does not mix two answers that are about different chunks', async () => {
    const { error, sink } = await attempt({
      onReconstruction: (answer, index) =>
        index === 0
          ? answer
          : { ...answer, terms: answer.terms.map((term) => ({ ...term, chunkEnd: 39 })) },
      onFetch: () => {
        throw new OrbweaverError('FORBIDDEN', 'signature has expired', { expired: true });
      },
    });
    expect(error).toMatchObject({ code: 'PROTOCOL' });
    expect(sink.state).toBe('aborted');
  });

  it('asks for ranges one by one when a server does not serve several at once', async () => {
    const { file, xorbs } = randomFile(6, {
      xorbs: 1,
      chunksPerXorb: 60,
      chunkBytes: 2000,
      runs: 9,
    });
    const sink = testSink(true);
    const pool = testPool(POOL);
    const cas = fakeCas([file], xorbs, {
      onFetch: ({ ranges }) => {
        if (ranges.length > 1) throw new OrbweaverError('PROTOCOL', 'expected multipart');
      },
    });
    await downloadFile({ cas, pool, hasher, fileHash: file.hash, sink });
    expect(Buffer.compare(sink.bytes(), file.bytes)).toBe(0);
    const asked = cas.fetches.map(({ ranges }) => ranges.length);
    expect(asked.every((count, i) => count === 1 || i === 0)).toBe(true);
  });

  it('stops at the first failure of the sink and gives every slab back', async () => {
    for (const positional of [true, false]) {
      let writes = 0;
      const sink = testSink(positional, () => {
        if (++writes === 3) throw new OrbweaverError('DISK_FULL', 'no space left');
      });
      const { error } = await attempt({ sink });
      expect(error).toMatchObject({ code: 'DISK_FULL' });
      expect(sink.state).toBe('aborted');
    }
  });

  it('does not ask for a byte when the sink refuses in prepare', async () => {
    const sink = testSink(true);
    sink.prepare = async () => {
      throw new OrbweaverError('DISK_FULL', 'no space left');
    };
    const { error, cas } = await attempt({ sink });
    expect(error).toMatchObject({ code: 'DISK_FULL' });
    expect(cas.fetches.length).toBe(0);
    expect(sink.state).toBe('aborted');
  });

  it('reports a failed commit and aborts the sink', async () => {
    const sink = testSink(true);
    sink.commit = async () => {
      throw new OrbweaverError('OUTPUT_UNWRITABLE', 'target is a folder');
    };
    const { error } = await attempt({ sink });
    expect(error).toMatchObject({ code: 'OUTPUT_UNWRITABLE' });
    expect(sink.state).toBe('aborted');
  });

  it('ends soon after an abort although store, sink or both hang', async () => {
    for (const positional of [true, false]) {
      for (const hang of ['fetch', 'reconstruction', 'sink', 'slab'] as const) {
        const controller = new AbortController();
        const { file, xorbs } = plainFile(chunks(20, 20_000));
        const pool = testPool(POOL);
        let letGo = (): void => {};
        const forever = new Promise<void>((resolve) => {
          letGo = resolve;
        });
        const hung = (): Promise<void> => {
          setTimeout(() => controller.abort(new Error('enough')), 5);
          return forever;
        };
        const sink = testSink(positional, () => (hang === 'sink' ? hung() : undefined));
        const taken = hang === 'slab' ? await pool.acquire(5) : [];
        const cas = fakeCas([file], xorbs, {
          onFetch: () => (hang === 'fetch' ? hung() : undefined),
        });
        if (hang === 'reconstruction') {
          cas.getReconstruction = async () => hung().then(() => null);
        }
        if (hang === 'slab') setTimeout(() => controller.abort(new Error('enough')), 5);
        const { signal } = controller;
        const download = downloadFile({ cas, pool, hasher, fileHash: file.hash, sink, signal });
        await expect(download).rejects.toMatchObject({
          code: 'ABORTED',
          cause: expect.objectContaining({ message: 'enough' }),
        });
        expect(sink.state).toBe('aborted');
        letGo();
        for (const slab of taken) slab.release();
        for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
        expect(pool.freeSlabs, `${hang}, positional ${positional}`).toBe(pool.slabCount);
      }
    }
  });

  it('asks for nothing when it is aborted before it starts', async () => {
    const { error, cas, sink } = await attempt({ options: { signal: AbortSignal.abort() } });
    expect(error).toMatchObject({ code: 'ABORTED' });
    expect(cas.reconstructions.length).toBe(0);
    expect(sink.state).toBe('aborted');
  });

  it('passes on what the store says about the file', async () => {
    const { error, sink } = await attempt({
      onReconstruction: () => {
        throw new OrbweaverError('NOT_FOUND', 'no such file');
      },
    });
    expect(error).toMatchObject({ code: 'NOT_FOUND' });
    expect(sink.state).toBe('aborted');
  });
});
