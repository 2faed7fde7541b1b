/** Times every kernel of every tier in warm loops, beside the packages that do the same work. */
import process from 'node:process';
import { text } from 'node:stream/consumers';
import { pathToFileURL } from 'node:url';
import {
  chunkHash,
  createChunkHasher,
  DATA_KEY,
  DEFAULT_PARAMS,
  MAX_CHUNK_BYTES,
} from '../formats.js';
import { type KernelTier, type LoadedKernels, loadKernels } from '../index.js';
import { createBlockMaker } from './corpora.js';
import { type KernelCase, runKernelBench } from './kernel-bench.js';
import type { KernelWork } from './kernel-process.js';
import { ownUsage } from './own-usage.js';

/** What we use of hash-wasm. */
interface HashWasm {
  createBLAKE3(
    bits: number,
    key: Uint8Array,
  ): Promise<{ init(): void; update(data: Uint8Array): void; digest(): string }>;
}

const CHUNK_BYTES = 64 * 1024;
const STREAM_BYTES = 16 * 1024 * 1024;
const TIERS: readonly KernelTier[] = ['simd', 'portable', 'readable'];

const work = JSON.parse(await text(process.stdin)) as KernelWork;
const kernels: LoadedKernels[] = [];
for (const tier of TIERS) {
  // A machine without SIMD has one tier less; the others are still worth knowing.
  const loaded = await loadKernels(tier).catch(() => null);
  if (loaded !== null) kernels.push(loaded);
}
const cases = [...kernels.flatMap(casesOf), ...(await peerCases())];
// Contenders of one name side by side, so that they share the state of the machine.
const names = [...new Set(cases.map((one) => one.name))];
cases.sort((a, b) => names.indexOf(a.name) - names.indexOf(b.name));
const { rounds, timeMs } = work;
const reports = await runKernelBench(cases, { rounds, timeMs });
process.stdout.write(`${JSON.stringify({ kernels: reports, ...ownUsage() })}\n`);

function sample(kind: 'random' | 'text' | 'fp32', bytes: number): Uint8Array {
  const block = new Uint8Array(bytes);
  createBlockMaker(kind, 7)(block);
  return block;
}

function casesOf({ tier, scanner, hasher, codec }: LoadedKernels): KernelCase[] {
  const stream = sample('random', STREAM_BYTES);
  const cuts = new Uint32Array(4096);
  const digest = new Uint8Array(32);
  const out = new Uint8Array(2 * MAX_CHUNK_BYTES);
  const list: KernelCase[] = [
    {
      name: 'gear scan, every byte',
      variant: tier,
      bytesPerCall: 1 << 20,
      run: () => scanner.scan(stream, 0, 1 << 20, DEFAULT_PARAMS.maskBits, cuts),
    },
    {
      name: 'BLAKE3 keyed, 64 KiB',
      variant: tier,
      bytesPerCall: CHUNK_BYTES,
      run: () => hasher.keyed(DATA_KEY, stream.subarray(0, CHUNK_BYTES), digest, 0),
    },
    {
      name: 'chunk and hash, 16 MiB',
      variant: tier,
      bytesPerCall: STREAM_BYTES,
      run: () => {
        const chunker = createChunkHasher({
          scanner,
          hashChunk: (chunk) => chunkHash(hasher, chunk),
        });
        chunker.push(stream);
        chunker.finish();
      },
    },
  ];
  for (const kind of ['random', 'text', 'fp32'] as const) {
    const plain = sample(kind, CHUNK_BYTES);
    const packed = new Uint8Array(2 * MAX_CHUNK_BYTES);
    const packedBytes = codec.lz4Compress(plain, packed);
    list.push(
      {
        name: `LZ4 compress, ${kind}`,
        variant: tier,
        bytesPerCall: CHUNK_BYTES,
        run: () => codec.lz4Compress(plain, out),
      },
      {
        name: `LZ4 decompress, ${kind}`,
        variant: tier,
        bytesPerCall: CHUNK_BYTES,
        run: () =>
          codec.lz4Decompress(packed.subarray(0, packedBytes), out.subarray(0, CHUNK_BYTES), 0),
      },
    );
  }
  const plain = sample('fp32', CHUNK_BYTES);
  const grouped = out.subarray(0, CHUNK_BYTES);
  list.push(
    {
      name: 'BG4 split',
      variant: tier,
      bytesPerCall: CHUNK_BYTES,
      run: () => codec.bg4Split(plain, grouped),
    },
    {
      name: 'BG4 join',
      variant: tier,
      bytesPerCall: CHUNK_BYTES,
      run: () => codec.bg4Join(plain, grouped),
    },
  );
  return list;
}

async function peerCases(): Promise<KernelCase[]> {
  const cases: KernelCase[] = [];
  const stream = sample('random', STREAM_BYTES);
  if (work.chunkerPath !== null) {
    const { getChunks } = (await import(pathToFileURL(work.chunkerPath).href)) as {
      getChunks(data: Uint8Array): unknown;
    };
    cases.push({
      name: 'chunk and hash, 16 MiB',
      variant: '@huggingface/xetchunk-wasm',
      bytesPerCall: STREAM_BYTES,
      run: () => getChunks(stream),
    });
  }
  if (work.hashWasmPath !== null) {
    // A CommonJS build, whose exports are found under `default`.
    const module = (await import(pathToFileURL(work.hashWasmPath).href)) as {
      default: HashWasm;
    };
    const blake3 = await module.default.createBLAKE3(256, DATA_KEY);
    cases.push({
      name: 'BLAKE3 keyed, 64 KiB',
      variant: 'hash-wasm',
      bytesPerCall: CHUNK_BYTES,
      run: () => {
        blake3.init();
        blake3.update(stream.subarray(0, CHUNK_BYTES));
        blake3.digest();
      },
    });
  }
  return cases;
}
