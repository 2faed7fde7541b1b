import { describe, expect, it } from 'vitest';
import { wasmApi } from '../../src/kernels/wasm-types.js';
import { createFreeBytes } from '../../src/platform/index.js';

const KIB = 1024;

describe('memory that is given back', () => {
  const free = createFreeBytes();

  it('is gone, for all its views', () => {
    const bytes = new Uint8Array(64 * KIB).fill(1);
    const view = bytes.subarray(5);
    free(bytes);
    expect([bytes.length, view.length, bytes.buffer.byteLength]).toEqual([0, 0, 0]);
  });

  it('does not wait for the collector: outside of the heap nothing grows', () => {
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 1000; i++) free(new Uint8Array(Buffer.allocUnsafeSlow(64 * KIB).buffer));
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(16 * KIB * KIB);
  });

  it('is left alone where others may use it: parts, shared memory, and what is small', () => {
    const whole = new Uint8Array(64 * KIB).fill(1);
    free(whole.subarray(0, 32 * KIB));
    expect(whole.every((byte) => byte === 1)).toBe(true);
    const shared = new Uint8Array(new SharedArrayBuffer(64 * KIB));
    free(shared);
    expect(shared.length).toBe(64 * KIB);
    const small = new Uint8Array(KIB);
    free(small);
    expect(small.length).toBe(KIB);
  });

  it('cannot be that of a WebAssembly instance', () => {
    const api = wasmApi();
    if (api === null) throw new Error('no WebAssembly');
    const memory = new Uint8Array(new api.Memory({ initial: 1 }).buffer);
    free(memory);
    expect(memory.length).toBe(64 * KIB);
  });
});
