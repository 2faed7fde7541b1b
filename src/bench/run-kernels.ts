/** Times every kernel of every tier in warm loops, beside the packages that do the same work. */
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
import { readWork, reportWork } from './work.js';

/** What this program is told. */
export interface KernelWork {
  readonly rounds: number;
  /** Per case and round. */
  readonly timeMs: number;
  /** URLs of the modules of `@huggingface/xetchunk-wasm` and `hash-wasm`; empty for who takes no part. */
  readonly chunkerUrl: string;
  readonly hashWasmUrl: string;
}

interface HashWasm {
  createBLAKE3(
    bits: number,
    key: Uint8Array,
  ): Promise<{ init(): void; update(data: Uint8Array): void; digest(): string }>;
}

const CHUNK_BYTES = 64 * 1024;
const STREAM_BYTES = 16 * 1024 * 1024;
const SCAN_BYTES = 1024 * 1024;
const TIERS: readonly KernelTier[] = ['simd', 'portable', 'readable'];
const STREAM = 'chunk and hash, 16 MiB';
const BLAKE3 = 'BLAKE3 keyed, 64 KiB';
const CORPORA = ['random', 'text', 'fp32'] as const;

const sample = (kind: (typeof CORPORA)[number], bytes: number): Uint8Array => {
  const block = new Uint8Array(bytes);
  createBlockMaker(kind, 7)(block);
  return block;
};
const stream = sample('random', STREAM_BYTES);
const chunk = stream.subarray(0, CHUNK_BYTES);

const { rounds, timeMs, chunkerUrl, hashWasmUrl } = await readWork<KernelWork>();
const cases: KernelCase[] = [];
for (const tier of TIERS) {
  // A machine without SIMD has one tier less; the others are still worth knowing.
  const loaded = await loadKernels(tier).catch(() => null);
  if (loaded !== null) addTier(loaded);
}
await addPeers();
// Contenders of one name side by side, so that they share the state of the machine.
const names = [...new Set(cases.map((one) => one.name))];
cases.sort((a, b) => names.indexOf(a.name) - names.indexOf(b.name));
reportWork({ kernels: await runKernelBench(cases, { rounds, timeMs }) });

function addTier({ tier, scanner, hasher, codec }: LoadedKernels): void {
  const add = (name: string, bytesPerCall: number, run: () => unknown): void => {
    cases.push({ name, variant: tier, bytesPerCall, run });
  };
  const cuts = new Uint32Array(4096);
  const digest = new Uint8Array(32);
  const out = new Uint8Array(2 * MAX_CHUNK_BYTES);
  const plainOut = out.subarray(0, CHUNK_BYTES);
  add('gear scan, every byte', SCAN_BYTES, () =>
    scanner.scan(stream, 0, SCAN_BYTES, DEFAULT_PARAMS.maskBits, cuts),
  );
  add(BLAKE3, CHUNK_BYTES, () => hasher.keyed(DATA_KEY, chunk, digest, 0));
  add(STREAM, STREAM_BYTES, () => {
    const chunker = createChunkHasher({ scanner, hashChunk: (bytes) => chunkHash(hasher, bytes) });
    chunker.push(stream);
    chunker.finish();
  });
  for (const kind of CORPORA) {
    const plain = sample(kind, CHUNK_BYTES);
    const packed = new Uint8Array(2 * MAX_CHUNK_BYTES);
    const record = packed.subarray(0, codec.lz4Compress(plain, packed));
    add(`LZ4 compress, ${kind}`, CHUNK_BYTES, () => codec.lz4Compress(plain, out));
    add(`LZ4 decompress, ${kind}`, CHUNK_BYTES, () => codec.lz4Decompress(record, plainOut, 0));
  }
  const weights = sample('fp32', CHUNK_BYTES);
  add('BG4 split', CHUNK_BYTES, () => codec.bg4Split(weights, plainOut));
  add('BG4 join', CHUNK_BYTES, () => codec.bg4Join(weights, plainOut));
}

async function addPeers(): Promise<void> {
  if (chunkerUrl !== '') {
    const { getChunks } = (await import(chunkerUrl)) as { getChunks(data: Uint8Array): unknown };
    const variant = '@huggingface/xetchunk-wasm';
    cases.push({ name: STREAM, variant, bytesPerCall: STREAM_BYTES, run: () => getChunks(stream) });
  }
  if (hashWasmUrl !== '') {
    // A CommonJS build, whose exports are found under `default`.
    const module = (await import(hashWasmUrl)) as { default: HashWasm };
    const blake3 = await module.default.createBLAKE3(256, DATA_KEY);
    const run = (): void => {
      blake3.init();
      blake3.update(chunk);
      blake3.digest();
    };
    cases.push({ name: BLAKE3, variant: 'hash-wasm', bytesPerCall: CHUNK_BYTES, run });
  }
}
