/**
 * An in-memory store and a small pool for download tests: real xorbs, real decoding, and every
 * fault a test asks for. No worker, no clock.
 */

import {
  type DownloadOptions,
  type DownloadSummary,
  downloadFile as download,
} from '../../src/client/index.js';
import type {
  ByteRange,
  CasClient,
  ComputePool,
  DecodeRequest,
  DecodeResult,
  RangeReader,
  ReadRangesOptions,
  Sink,
  Slab,
} from '../../src/client/ports.js';
import { createReadableCodec } from '../../src/compress/index.js';
import { OrbweaverError } from '../../src/errors.js';
import type { Clock } from '../../src/flow/index.js';
import { createReadableBlake3, DATA_KEY, fileHash, type MerkleHash } from '../../src/hash/index.js';
import type { FetchRange, Reconstruction, Term, XorbFetch } from '../../src/plan/index.js';
import { SYSTEM_CLOCK } from '../../src/platform/index.js';
import type { SlabRef } from '../../src/workers/messages.js';
import { runDecode } from '../../src/workers/tasks/decode.js';
import { type BuiltXorb, createRecordDecoder, XorbBuilder } from '../../src/xorb/index.js';
import { slabOf } from '../support/slab.js';
import { sliceTerms } from '../support/slice-terms.js';

export const hasher = createReadableBlake3();

/** With the clock of the machine, where a test does not move time. */
export function downloadFile(
  options: Omit<DownloadOptions, 'clock'> & { readonly clock?: Clock },
): Promise<DownloadSummary> {
  return download({ clock: SYSTEM_CLOCK, ...options });
}
const codec = createReadableCodec();

/** Small deterministic numbers: `next(n)` is in `[0, n)`. */
export function createDice(seed: number): (limit: number) => number {
  let state = seed >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}

export interface TestFile {
  readonly bytes: Uint8Array;
  readonly hash: MerkleHash;
  readonly terms: readonly Term[];
}

/** A file made of random runs of chunks of random xorbs, repeats included. */
export function randomFile(
  seed: number,
  shape: { xorbs: number; chunksPerXorb: number; chunkBytes: number; runs: number },
): { file: TestFile; xorbs: BuiltXorb[] } {
  const dice = createDice(seed);
  const chunks: Uint8Array[][] = [];
  const xorbs: BuiltXorb[] = [];
  for (let x = 0; x < shape.xorbs; x++) {
    const builder = new XorbBuilder({ codec, hasher });
    const list: Uint8Array[] = [];
    for (let c = 0; c < shape.chunksPerXorb; c++) {
      const chunk = new Uint8Array(1 + dice(shape.chunkBytes));
      const spread = dice(3) === 0 ? 256 : 1 + dice(4);
      for (let i = 0; i < chunk.length; i++) chunk[i] = dice(spread);
      builder.add(chunk);
      list.push(chunk);
    }
    chunks.push(list);
    xorbs.push(builder.finish() as BuiltXorb);
  }
  const terms: Term[] = [];
  const used: { xorb: number; chunk: number }[] = [];
  for (let r = 0; r < shape.runs; r++) {
    const x = dice(shape.xorbs);
    const chunkStart = dice(shape.chunksPerXorb);
    const chunkEnd = chunkStart + 1 + dice(shape.chunksPerXorb - chunkStart);
    let unpackedBytes = 0;
    for (let chunk = chunkStart; chunk < chunkEnd; chunk++) {
      used.push({ xorb: x, chunk });
      unpackedBytes += chunks[x]?.[chunk]?.length ?? 0;
    }
    terms.push({ xorb: (xorbs[x] as BuiltXorb).hash, unpackedBytes, chunkStart, chunkEnd });
  }
  const parts = used.map(({ xorb, chunk }) => chunks[xorb]?.[chunk] as Uint8Array);
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  const hashes = new Uint8Array(32 * used.length);
  let at = 0;
  for (const [i, part] of parts.entries()) {
    bytes.set(part, at);
    at += part.length;
    const { xorb, chunk } = used[i] as { xorb: number; chunk: number };
    hashes.set(
      xorbs[xorb]?.chunkHashes.subarray(32 * chunk, 32 * chunk + 32) as Uint8Array,
      32 * i,
    );
  }
  const hash = fileHash(
    hasher,
    hashes,
    parts.map((part) => part.length),
  );
  return { file: { bytes, hash, terms }, xorbs };
}

/** A file whose chunks are all of one xorb, in order. */
export function plainFile(chunks: readonly Uint8Array[]): { file: TestFile; xorbs: BuiltXorb[] } {
  const builder = new XorbBuilder({ codec, hasher });
  for (const chunk of chunks) builder.add(chunk);
  const xorb = builder.finish() as BuiltXorb;
  const bytes = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  const lengths = chunks.map((chunk) => chunk.length);
  const term = {
    xorb: xorb.hash,
    unpackedBytes: bytes.length,
    chunkStart: 0,
    chunkEnd: chunks.length,
  };
  const hash = fileHash(hasher, xorb.chunkHashes, lengths);
  return { file: { bytes, hash, terms: [term] }, xorbs: [xorb] };
}

/** How fetch ranges are made of terms. */
export type RangeStyle = 'exact' | 'joined' | 'whole';

export interface FakeCasOptions {
  readonly ranges?: RangeStyle;
  /** Every answer cuts the file's terms to the asked bytes; this many bytes at most are shown. */
  readonly answerBytes?: number;
  readonly pieceBytes?: number;
  /** Changes, replaces or refuses the bytes of the `n`th fetch (from 0). */
  readonly onFetch?: (call: {
    readonly index: number;
    readonly url: string;
    readonly ranges: readonly ByteRange[];
    readonly bytes: Uint8Array[];
    readonly signal: AbortSignal | undefined;
  }) => void | Promise<void>;
  readonly onReconstruction?: (answer: Reconstruction, index: number) => Reconstruction | null;
}

export interface FakeCas extends CasClient {
  readonly fetches: { url: string; ranges: readonly ByteRange[] }[];
  readonly reconstructions: (ByteRange | undefined)[];
  openFetches: number;
}

/** A store that holds these files and xorbs. */
export function fakeCas(
  files: readonly TestFile[],
  xorbs: readonly BuiltXorb[],
  options: FakeCasOptions = {},
): FakeCas {
  const byHash = new Map(xorbs.map((xorb) => [xorb.hash.toString(), xorb]));
  const unused = (): never => {
    throw new Error('not used in downloads');
  };
  const cas: FakeCas = {
    fetches: [],
    reconstructions: [],
    openFetches: 0,
    queryDedup: unused,
    putXorb: unused,
    putShard: unused,
    async close() {},
    getReconstructions: () => Promise.resolve(null),
    getChunkHashes: async () => null,
    async getReconstruction(hash, range) {
      const file = files.find((each) => each.hash.equals(hash));
      cas.reconstructions.push(range);
      if (file === undefined) throw new OrbweaverError('NOT_FOUND', 'no such file');
      const start = range?.start ?? 0;
      if (start >= file.bytes.length) return null;
      const end = Math.min(range?.end ?? Number.POSITIVE_INFINITY, file.bytes.length);
      const sliced = sliceTerms(file.terms, start, end);
      const generation = cas.reconstructions.length;
      const answer = {
        ...sliced,
        fetches: fetchesFor(sliced.terms, byHash, options.ranges ?? 'exact', generation),
      };
      return options.onReconstruction?.(answer, generation - 1) ?? answer;
    },
    readRanges: (url, ranges, readOptions = {}) =>
      readerOf(cas, byHash, options, { url, ranges, ...readOptions }),
  };
  return cas;
}

/** Fills in steps of `pieceBytes`; nothing happens before the first one. */
function readerOf(
  cas: FakeCas,
  xorbs: ReadonlyMap<string, BuiltXorb>,
  options: FakeCasOptions,
  call: ReadRangesOptions & { readonly url: string; readonly ranges: readonly ByteRange[] },
): RangeReader {
  const { url, ranges } = call;
  let parts: Iterator<[number, Uint8Array]> | null = null;
  let rangeIndex = 0;
  let rest: Uint8Array = new Uint8Array(0);
  let isOpen = false;
  let isCancelled = false;
  const close = (): void => {
    if (isOpen) cas.openFetches--;
    isOpen = false;
  };
  const open = async (): Promise<Iterator<[number, Uint8Array]>> => {
    const index = cas.fetches.length;
    cas.fetches.push({ url, ranges });
    call.onRequest?.();
    const xorb = xorbs.get(new URL(url).pathname.slice(1));
    if (xorb === undefined) throw new OrbweaverError('NOT_FOUND', 'no such xorb');
    cas.openFetches++;
    isOpen = true;
    const bytes = ranges.map(({ start, end }) => xorb.bytes.slice(start, end));
    await options.onFetch?.({ index, url, ranges, bytes, signal: call.signal });
    return bytes.entries();
  };
  return {
    get rangeIndex() {
      return rangeIndex;
    },
    async fill(into) {
      try {
        if (isCancelled) throw new OrbweaverError('ABORTED', 'nothing more is wanted');
        parts ??= await open();
        if (isCancelled) throw new OrbweaverError('ABORTED', 'nothing more is wanted');
        await Promise.resolve();
        while (rest.length === 0) {
          const step = parts.next();
          if (step.done === true) {
            close();
            return 0;
          }
          [rangeIndex, rest] = step.value;
        }
        const count = Math.min(into.length, rest.length, options.pieceBytes ?? 1 << 16);
        into.set(rest.subarray(0, count));
        rest = rest.subarray(count);
        return count;
      } catch (error) {
        close();
        throw error;
      }
    },
    cancel() {
      isCancelled = true;
      close();
    },
  };
}

function fetchesFor(
  terms: readonly Term[],
  xorbs: ReadonlyMap<string, BuiltXorb>,
  style: RangeStyle,
  generation: number,
): XorbFetch[] {
  const spans = new Map<string, [number, number][]>();
  for (const term of terms) {
    const key = term.xorb.toString();
    const xorb = xorbs.get(key) as BuiltXorb;
    const span: [number, number] =
      style === 'whole' ? [0, xorb.recordEnds.length] : [term.chunkStart, term.chunkEnd];
    spans.set(key, [...(spans.get(key) ?? []), span]);
  }
  return [...spans].map(([key, list]) => {
    const xorb = xorbs.get(key) as BuiltXorb;
    const sorted = [...list].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    const merged: [number, number][] = [];
    for (const span of sorted) {
      const last = merged.at(-1);
      const gap = style === 'joined' ? 3 : 0;
      if (last !== undefined && span[0] <= last[1] + gap) last[1] = Math.max(last[1], span[1]);
      else merged.push([...span]);
    }
    const ranges: FetchRange[] = merged.map(([chunkStart, chunkEnd]) => ({
      chunkStart,
      chunkEnd,
      byteStart: chunkStart === 0 ? 0 : (xorb.recordEnds[chunkStart - 1] as number),
      byteEnd: xorb.recordEnds[chunkEnd - 1] as number,
    }));
    const url = `https://data.test/${key}?generation=${generation}`;
    return { xorb: xorb.hash, entries: [{ url, ranges }] };
  });
}

export interface TestPool extends ComputePool {
  /** Most slabs that were ever out at once. */
  readonly peakSlabs: number;
}

/** A pool without threads; `slabCount` 2 is the smallest legal one. */
export function testPool(shape: {
  slabBytes: number;
  slabCount: number;
  threads?: number;
}): TestPool {
  const bytesOf = (slab: SlabRef): Uint8Array => slab as Uint8Array;
  const context = { decoder: createRecordDecoder({ codec, hasher }), bytesOf };
  const waiting: { count: number; grant: (slabs: Slab[]) => void }[] = [];
  const memory = Array.from({ length: shape.slabCount }, () => new Uint8Array(shape.slabBytes));
  const free = [...memory];
  const listeners = new Set<() => void>();
  let peak = 0;
  const serveWaiting = (): void => {
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      if (free.length < first.count) return;
      waiting.shift();
      first.grant(free.splice(0, first.count).map(slabOver));
      peak = Math.max(peak, shape.slabCount - free.length);
    }
  };
  const slabOver = (bytes: Uint8Array<ArrayBuffer>): Slab =>
    slabOf(bytes, () => {
      // Whoever still reads a released slab gets garbage and fails.
      bytes.fill(0xee);
      free.push(bytes);
      serveWaiting();
    });
  const unused = (): never => {
    throw new Error('not used in downloads');
  };
  return {
    threads: 0,
    ...shape,
    tier: 'readable',
    sharedMemory: false,
    get freeSlabs() {
      return free.length;
    },
    get waiting() {
      return waiting.length;
    },
    get peakSlabs() {
      return peak;
    },
    acquire: (count, signal) =>
      new Promise<Slab[]>((resolve, reject) => {
        const aborted = (): OrbweaverError => new OrbweaverError('ABORTED', 'aborted');
        if (signal?.aborted) {
          reject(aborted());
          return;
        }
        const waiter = { count, grant: resolve };
        waiting.push(waiter);
        signal?.addEventListener('abort', () => {
          const at = waiting.indexOf(waiter);
          if (at < 0) return;
          waiting.splice(at, 1);
          reject(aborted());
          serveWaiting();
        });
        serveWaiting();
        if (waiting.includes(waiter)) for (const listener of [...listeners]) listener();
      }),
    onStarved(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    chunk: unused,
    copyOut: (bytes, into) => into.set(bytes),
    async hash(slab, starts, lengths) {
      const hashes = new Uint8Array(32 * starts.length);
      for (const [i, start] of starts.entries()) {
        const chunk = slab.bytes.subarray(start, start + (lengths[i] as number));
        hasher.keyed(DATA_KEY, chunk, hashes, 32 * i);
      }
      return hashes;
    },
    pack: unused,
    ...{ sha256: unused },
    createSha256: unused,
    async decode({ input, output, runs }: DecodeRequest): Promise<DecodeResult> {
      // As in the real pool, a task keeps its slabs whatever their owner does meanwhile.
      const ends = [input.borrow(), output.borrow()];
      const [slab, target] = [input.bytes, output.bytes];
      try {
        await new Promise((resolve) => setImmediate(resolve));
        return runDecode(context, { kind: 'decode', slab, target, runs });
      } finally {
        for (const end of ends) end();
      }
    },
    async close() {},
  };
}

export interface TestSink extends Sink {
  readonly bytes: () => Uint8Array;
  state: 'open' | 'committed' | 'aborted';
  readonly prepared: number[];
}

/** Keeps what it is given; checks order and overlap as the port promises. */
export function testSink(
  positional: boolean,
  onWrite: (bytes: Uint8Array, offset: number) => Promise<void> | void = () => {},
): TestSink {
  let buffer = new Uint8Array(0);
  let next = 0;
  let active = 0;
  const sink: TestSink = {
    name: 'test sink',
    positional,
    state: 'open',
    prepared: [],
    bytes: () => buffer,
    async prepare(sizeBytes) {
      sink.prepared.push(sizeBytes);
    },
    async write(bytes, offset) {
      if (sink.state !== 'open') throw new Error(`write after ${sink.state}`);
      if (!positional && (offset !== next || active > 0)) throw new Error('write out of order');
      active++;
      try {
        await Promise.resolve();
        await onWrite(bytes, offset);
        await new Promise((resolve) => setImmediate(resolve));
        const end = offset + bytes.length;
        if (end > buffer.length) {
          const grown = new Uint8Array(end);
          grown.set(buffer);
          buffer = grown;
        }
        buffer.set(bytes, offset);
        next = end;
      } finally {
        active--;
      }
    },
    async commit(sizeBytes) {
      if (sizeBytes !== buffer.length) throw new Error('commit with a wrong size');
      sink.state = 'committed';
    },
    async abort() {
      if (sink.state === 'open') sink.state = 'aborted';
    },
  };
  return sink;
}
