import { PIECE_BYTES, SCRATCH_BYTES, STATIC_BYTES } from './generated/layout.js';
import { createMemory } from './memory.js';
import { type WasmMemory, type WasmModule, wasmApi } from './wasm-types.js';

/** What `assembly/index.ts` exports. Arguments are addresses in the instance's memory and counts. */
export interface KernelExports {
  setScratch(base: number): void;
  gearScan(
    base: number,
    start: number,
    end: number,
    maskBits: number,
    out: number,
    capacity: number,
  ): number;
  blake3(data: number, length: number, out: number): void;
  blake3Begin(): void;
  blake3Push(piece: number): void;
  blake3Finish(data: number, length: number, out: number): void;
  blake3Many(base: number, start: number, ends: number, count: number, out: number): void;
  hashChunks(
    base: number,
    size: number,
    starts: number,
    lengths: number,
    count: number,
    out: number,
  ): number;
  cutChunks(
    base: number,
    start: number,
    end: number,
    minBytes: number,
    maxBytes: number,
    maskBits: number,
    isLast: number,
    ends: number,
    digests: number,
    capacity: number,
  ): number;
  lz4Compress(src: number, length: number, out: number, capacity: number): number;
  lz4Decompress(src: number, length: number, out: number, size: number, start: number): number;
  bg4Split(src: number, length: number, out: number): void;
  bg4Join(src: number, length: number, out: number): void;
  copy(src: number, length: number, out: number): void;
  packRecords(
    base: number,
    starts: number,
    lengths: number,
    count: number,
    target: number,
    policy: number,
  ): number;
  decodeRecords(
    start: number,
    end: number,
    out: number,
    outEnd: number,
    rawInPlace: number,
    lengths: number,
    digests: number,
    capacity: number,
  ): number;
  hashRecords(
    start: number,
    end: number,
    lengths: number,
    digests: number,
    capacity: number,
  ): number;
}

/** An instance and the views of its memory that the adapters work with. */
export interface SimdInstance {
  readonly exports: KernelExports;
  readonly memory: WasmMemory;
  readonly sharedMemory: boolean;
  /** What other threads with memory of the same kind can instantiate. */
  readonly module: WasmModule;
  /** Start of the instance's scratch space, in bytes. */
  readonly scratch: number;
  /**
   * Views of all of `memory`. Ask once per call of an adapter: growing the memory makes older
   * views of it useless.
   */
  views(): MemoryViews;
}

export interface MemoryViews {
  readonly buffer: ArrayBufferLike;
  readonly u8: Uint8Array;
  readonly u32: Uint32Array;
}

/** The widest word that engines copy at a time. Stages keep this much room for {@link wordShift}. */
export const WORD_BYTES = 8;

/** Bytes that the adapters hash at once from outside memory. */
export const HASH_PIECE_BYTES: number = PIECE_BYTES;

/**
 * Instantiates the kernels over `memory`, or over a memory of their own that holds nothing but
 * scratch; compiles them unless `compiled` is there. Throws whatever the engine throws (no SIMD,
 * compilation forbidden).
 */
export async function instantiateSimd(
  memory: WasmMemory = createMemory(STATIC_BYTES + SCRATCH_BYTES, false),
  scratch: number = STATIC_BYTES,
  compiled?: WasmModule,
): Promise<SimdInstance> {
  const api = wasmApi();
  if (api === null) throw new Error('WebAssembly is not available');
  const sharedMemory =
    typeof SharedArrayBuffer !== 'undefined' && memory.buffer instanceof SharedArrayBuffer;
  const module = compiled ?? (await api.compile(await kernelBytes(sharedMemory)));
  const instance = await api.instantiate(module, { env: { memory } });
  const exports = instance.exports as unknown as KernelExports;
  exports.setScratch(scratch);

  let views = viewsOf(memory);
  return {
    exports,
    memory,
    sharedMemory,
    module,
    scratch,
    views() {
      if (views.buffer !== memory.buffer) views = viewsOf(memory);
      return views;
    },
  };
}

/**
 * How far a stage has to move up so that `bytes` have the same place within a word there. Engines
 * copy to and from shared memory word by word then, else byte by byte (22 against 2.5 GB/s on a
 * 2-core Xeon, Node 20).
 */
export function wordShift(bytes: Uint8Array): number {
  return bytes.byteOffset & (WORD_BYTES - 1);
}

function viewsOf(memory: WasmMemory): MemoryViews {
  const buffer = memory.buffer;
  return { buffer, u8: new Uint8Array(buffer), u32: new Uint32Array(buffer) };
}

/** Loaded by those who need it: not by threads that are given a module. */
async function kernelBytes(sharedMemory: boolean): Promise<Uint8Array> {
  const wasm = await import('./generated/wasm.js');
  const bytes = decodeBase64(wasm.WASM_BASE64);
  if (sharedMemory) bytes[wasm.MEMORY_FLAGS_OFFSET] = wasm.SHARED_MEMORY_FLAGS;
  return bytes;
}

function decodeBase64(text: string): Uint8Array {
  const chars = atob(text);
  const bytes = new Uint8Array(chars.length);
  // A loop and not `Uint8Array.from` over the characters, which took 3 ms of every start.
  for (let i = 0; i < bytes.length; i++) bytes[i] = chars.charCodeAt(i);
  return bytes;
}
