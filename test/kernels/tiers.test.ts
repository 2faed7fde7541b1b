import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { chunkerParams, findCuts } from '../../src/chunker/index.js';
import { isOrbweaverError } from '../../src/errors.js';
import {
  createKernels,
  createSharedMemory,
  KERNEL_SCRATCH_BYTES,
  KERNEL_STATIC_BYTES,
  sharedMemoryAvailable,
  simdAvailable,
  type TierRequest,
} from '../../src/kernels/index.js';
import { generate } from '../support/generators.js';
import { createOrdinaryMemory, SHARED_BYTES, twins } from './support.js';

const tiers: TierRequest[] = ['simd', 'portable', 'readable'];

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'nothing';
  } catch (error) {
    return isOrbweaverError(error) ? error.code : (error as Error).name;
  }
}

describe('kernel tiers', () => {
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it.each(tiers)('give the same cuts, hashes and bytes when %s is forced', async (tier) => {
    const kernels = await createKernels({ tier, twins });
    expect(kernels.tier).toBe(tier);
    const data = generate({ kind: 'words', seed: 41, bytes: 250_000 });
    expect(findCuts(kernels.scanner, data)).toEqual(findCuts(twins.scanner, data));
    const key = data.subarray(0, 32);
    const found = new Uint8Array(64);
    const expected = new Uint8Array(64);
    kernels.hasher.keyedMany(key, data, 3, Uint32Array.of(70_000, 70_050), 2, found, 0);
    twins.hasher.keyedMany(key, data, 3, Uint32Array.of(70_000, 70_050), 2, expected, 0);
    expect(found).toEqual(expected);
    const packed = new Uint8Array(70_000);
    const length = kernels.codec.lz4Compress(data.subarray(0, 65_536), packed);
    const back = new Uint8Array(65_536);
    expect(kernels.codec.lz4Decompress(packed.subarray(0, length), back, 0)).toBe(65_536);
    expect(Buffer.compare(back, data.subarray(0, 65_536))).toBe(0);
  });

  it('say where their memory is', async () => {
    const memory = createSharedMemory({ bytes: SHARED_BYTES });
    const shared = await createKernels({ twins, memory });
    expect([shared.tier, shared.memory, shared.sharedMemory]).toEqual(['simd', memory, true]);
    const ordinary = createOrdinaryMemory();
    const plain = await createKernels({ twins, memory: ordinary });
    expect([plain.memory, plain.sharedMemory]).toEqual([ordinary, false]);
    const own = await createKernels({ twins });
    expect(own.memory?.buffer.byteLength).toBe(KERNEL_STATIC_BYTES + KERNEL_SCRATCH_BYTES);
    const readable = await createKernels({ tier: 'readable', twins, memory });
    expect([readable.memory, readable.sharedMemory]).toEqual([null, false]);
  });

  it('go on working in an ordinary memory that grew', async () => {
    const memory = createOrdinaryMemory();
    const { hasher } = await createKernels({ tier: 'simd', twins, memory });
    const before = new Uint8Array(32);
    const after = new Uint8Array(32);
    const at = KERNEL_STATIC_BYTES + KERNEL_SCRATCH_BYTES;
    const content = generate({ kind: 'splitmix64', seed: 42, bytes: 5000 });
    new Uint8Array(memory.buffer, at, 5000).set(content);
    hasher.keyed(content.subarray(0, 32), new Uint8Array(memory.buffer, at, 5000), before, 0);
    memory.grow(3);
    hasher.keyed(content.subarray(0, 32), new Uint8Array(memory.buffer, at, 5000), after, 0);
    expect(after).toEqual(before);
    hasher.keyed(content.subarray(0, 32), content, after, 0);
    expect(after).toEqual(before);
  });

  it('fall back step by step, and refuse a forced tier that does not run', async () => {
    expect([simdAvailable(), sharedMemoryAvailable()]).toEqual([true, true]);
    const real = (globalThis as unknown as { WebAssembly: object }).WebAssembly;
    // An engine without SIMD: validation fails, all else works.
    vi.stubGlobal('WebAssembly', Object.assign(Object.create(real), { validate: () => false }));
    expect(simdAvailable()).toBe(false);
    expect((await createKernels({ twins })).tier).toBe('portable');
    expect(await codeOf(createKernels({ tier: 'simd', twins }))).toBe('KERNEL_UNAVAILABLE');
    // No WebAssembly at all.
    vi.stubGlobal('WebAssembly', undefined);
    expect([simdAvailable(), sharedMemoryAvailable()]).toEqual([false, false]);
    expect((await createKernels({ twins })).tier).toBe('readable');
    expect(await codeOf(createKernels({ tier: 'simd', twins }))).toBe('KERNEL_UNAVAILABLE');
    expect(await codeOf(createKernels({ tier: 'portable', twins }))).toBe('KERNEL_UNAVAILABLE');
    expect((await createKernels({ tier: 'readable', twins })).tier).toBe('readable');
  });

  it('fall back where compiling is forbidden', async () => {
    const real = (globalThis as unknown as { WebAssembly: object }).WebAssembly;
    const forbid = () => Promise.reject(new Error('forbidden by policy'));
    const stub = Object.assign(Object.create(real), { compile: forbid, instantiate: forbid });
    vi.stubGlobal('WebAssembly', stub);
    expect((await createKernels({ twins })).tier).toBe('readable');
    expect(await codeOf(createKernels({ tier: 'simd', twins }))).toBe('KERNEL_UNAVAILABLE');
  });

  it('know a page that may not share memory', () => {
    vi.stubGlobal('crossOriginIsolated', false);
    expect(sharedMemoryAvailable()).toBe(false);
    expect(() => createSharedMemory({ bytes: 1 })).toThrow('"memory" expected');
  });

  it('refuse wrong options at once', async () => {
    const memory = createSharedMemory({ bytes: SHARED_BYTES });
    const wrong = { tier: 'fastest' as TierRequest, twins };
    expect(await codeOf(createKernels(wrong))).toBe('RangeError');
    expect(await codeOf(createKernels({ twins, scratchBase: 65_536 }))).toBe('RangeError');
    for (const scratchBase of [0, 65_535, 65_568, 65_536.5, SHARED_BYTES, Number.NaN]) {
      expect(await codeOf(createKernels({ twins, memory, scratchBase }))).toBe('RangeError');
    }
    for (const bytes of [0, -1, 1.5, 2 ** 32 + 1, Number.NaN]) {
      expect(() => createSharedMemory({ bytes })).toThrow(RangeError);
    }
    expect(createSharedMemory({ bytes: 65_537 }).buffer.byteLength).toBe(131_072);
  });
});

describe('two instances in one shared memory', () => {
  const secondScratch = KERNEL_STATIC_BYTES + KERNEL_SCRATCH_BYTES;
  const dataBase = secondScratch + KERNEL_SCRATCH_BYTES;

  it('touch no byte outside of their own scratch space and their outputs', async () => {
    const memory = createSharedMemory({ bytes: SHARED_BYTES });
    const all = new Uint8Array(memory.buffer);
    all.fill(0x5a);
    const { scanner, hasher, codec, cutter } = await createKernels({
      tier: 'simd',
      twins,
      memory,
      scratchBase: secondScratch,
    });
    const size = 131_072;
    const data = all.subarray(dataBase, dataBase + size);
    data.set(generate({ kind: 'words', seed: 43, bytes: size }));
    const out = all.subarray(dataBase + size, dataBase + 2 * size);
    const outside = data.slice();
    cutter?.cut(data.subarray(0, 32), {
      data,
      start: 0,
      end: size,
      isLast: true,
      params: chunkerParams(1024),
      ends: new Uint32Array(1025),
      hashes: new Uint8Array(32 * 1025),
    });
    for (const source of [data, outside]) {
      scanner.scan(source, 0, size, 1, new Uint32Array(size));
      hasher.keyed(data.subarray(0, 32), source, new Uint8Array(32), 0);
      const ends = Uint32Array.from({ length: 1300 }, (_, i) => i * 100);
      hasher.keyedMany(data.subarray(0, 32), source, 0, ends, 1300, new Uint8Array(41_600), 0);
      for (const target of [out, new Uint8Array(size)]) {
        const length = codec.lz4Compress(source, target);
        codec.lz4Decompress(target.slice(0, length), target, 0);
        codec.bg4Split(source, target);
        codec.bg4Join(source, target);
      }
    }
    for (const [from, to] of [
      [KERNEL_STATIC_BYTES, secondScratch],
      [dataBase + 2 * size, all.length],
    ]) {
      expect(all.subarray(from, to).findIndex((byte) => byte !== 0x5a)).toBe(-1);
    }
  });

  it('work at the same time in two threads', async () => {
    const memory = createSharedMemory({ bytes: SHARED_BYTES });
    const size = 1 << 20;
    const data = generate({ kind: 'words', seed: 44, bytes: size });
    new Uint8Array(memory.buffer, dataBase, size).set(data);
    const start = KERNEL_STATIC_BYTES + KERNEL_SCRATCH_BYTES;
    const mine = await createKernels({ tier: 'simd', twins, memory });
    const worker = startRawWorker({ memory, module: mine.module, scratch: start, dataBase, size });
    try {
      const view = new Uint8Array(memory.buffer, dataBase, size);
      const key = new Uint8Array(32);
      const expected = new Uint8Array(32);
      twins.hasher.keyed(key, data, expected, 0);
      const cuts = findCuts(twins.scanner, data);
      const packed = new Uint8Array(140_000);
      const length = mine.codec.lz4Compress(data.subarray(0, 131_072), packed);
      await worker.ready;
      let turns = 0;
      while (turns < 20) {
        const digest = new Uint8Array(32);
        mine.hasher.keyed(key, view, digest, 0);
        expect(digest).toEqual(expected);
        expect(findCuts(mine.scanner, view)).toEqual(cuts);
        const again = new Uint8Array(140_000);
        expect(mine.codec.lz4Compress(view.subarray(0, 131_072), again)).toBe(length);
        expect(Buffer.compare(again, packed)).toBe(0);
        // A new instance writes the static data again, in the middle of it all.
        if (turns++ % 5 === 0) await createKernels({ tier: 'simd', twins, memory });
      }
      // The worker hashed the same data again and again over its own scratch.
      expect(await worker.stop()).toEqual([Buffer.from(expected).toString('hex')]);
    } finally {
      await worker.end();
    }
  });
});

/** A thread that hashes the data until told to stop, then says which digests it saw. */
function startRawWorker(options: {
  memory: unknown;
  module: unknown;
  scratch: number;
  dataBase: number;
  size: number;
}) {
  const source = `
    const { parentPort, workerData } = require('node:worker_threads');
    const { memory, module, scratch, dataBase, size, stopFlag } = workerData;
    WebAssembly.instantiate(module, { env: { memory } }).then((instance) => {
      const { setScratch, blake3, KEY, DIGESTS } = instance.exports;
      setScratch(scratch);
      const u8 = new Uint8Array(memory.buffer);
      u8.fill(0, scratch + KEY.value, scratch + KEY.value + 32);
      const seen = new Set();
      parentPort.postMessage('ready');
      do {
        const at = scratch + DIGESTS.value;
        blake3(dataBase, size, at);
        seen.add(Buffer.from(u8.slice(at, at + 32)).toString('hex'));
      } while (Atomics.load(stopFlag, 0) === 0);
      parentPort.postMessage([...seen]);
    });`;
  const stopFlag = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(source, {
    eval: true,
    workerData: { ...options, stopFlag },
  });
  const next = () =>
    new Promise<unknown>((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
  return {
    ready: next(),
    stop: () => {
      const answer = next();
      Atomics.store(stopFlag, 0, 1);
      return answer;
    },
    end: () => worker.terminate(),
  };
}
