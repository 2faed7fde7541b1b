import { OrbweaverError } from '../errors.js';
import { SCRATCH_BYTES, STATIC_BYTES } from './generated/layout.js';
import { type WasmMemory, wasmApi } from './wasm-types.js';

/** Bytes of a WebAssembly page. */
const PAGE_BYTES = 65536;

/** Bytes of scratch one kernel instance needs from its `scratchBase`. */
export const KERNEL_SCRATCH_BYTES: number = SCRATCH_BYTES;

/** Memory below this address belongs to the kernels' static data: no scratch, no caller's bytes. */
export const KERNEL_STATIC_BYTES: number = STATIC_BYTES;

/** `v128.const 0; drop`: the smallest module that only an engine with SIMD128 accepts. */
const SIMD_PROBE: Uint8Array = new Uint8Array([
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x04, 0x01, 0x60, 0x00, 0x00, 0x03, 0x02,
  0x01, 0x00, 0x0a, 0x17, 0x01, 0x15, 0x00, 0xfd, 0x0c, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
  0, 0x1a, 0x0b,
]);

/** True when this engine runs modules with SIMD128 (relaxed SIMD is never used). */
export function simdAvailable(): boolean {
  try {
    return wasmApi()?.validate(SIMD_PROBE) ?? false;
  } catch {
    return false;
  }
}

/**
 * True when a memory can be shared between threads: never on a page that is not cross-origin
 * isolated, even if the engine could.
 */
export function sharedMemoryAvailable(): boolean {
  const api = wasmApi();
  if (api === null || typeof SharedArrayBuffer === 'undefined') return false;
  if ((globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated === false) return false;
  try {
    const memory = new api.Memory({ initial: 1, maximum: 1, shared: true });
    return memory.buffer instanceof SharedArrayBuffer;
  } catch {
    return false;
  }
}

/**
 * A shared memory of at least `bytes` (rounded up to pages of 64 KiB). It never grows, so views
 * of its `buffer` stay valid for its whole life; pages that nobody touches cost no RAM.
 *
 * @throws OrbweaverError `KERNEL_UNAVAILABLE` where memory cannot be shared or so much is not to
 * be had; RangeError when `bytes` is not between 1 and 4 GiB.
 */
export function createSharedMemory({ bytes }: { readonly bytes: number }): WasmMemory {
  return createMemory(bytes, true);
}

/** `createSharedMemory`, or the same without sharing. */
export function createMemory(bytes: number, shared: boolean): WasmMemory {
  if (!Number.isSafeInteger(bytes) || bytes < 1 || bytes > 65536 * PAGE_BYTES) {
    throw new RangeError(`"bytes" expected an integer from 1 to 4294967296, got ${bytes}`);
  }
  const pages = Math.ceil(bytes / PAGE_BYTES);
  const api = wasmApi();
  if (api === null || (shared && !sharedMemoryAvailable())) {
    throw new OrbweaverError('KERNEL_UNAVAILABLE', '"memory" expected WebAssembly, got none', {
      shared,
      bytes,
    });
  }
  try {
    return new api.Memory({ initial: pages, maximum: pages, shared });
  } catch (cause) {
    throw new OrbweaverError(
      'KERNEL_UNAVAILABLE',
      `"memory" expected ${bytes} bytes, got none`,
      { shared, bytes },
      cause,
    );
  }
}
