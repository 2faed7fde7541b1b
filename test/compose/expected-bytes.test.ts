import { describe, expect, it } from 'vitest';
import { expectedBytes } from '../../src/compose/input.js';

/** Inputs of `sizeBytes` each that note who was looked at. */
function inputsOf(count: number, sizeBytes: number) {
  let lookedAt = 0;
  const input = {
    name: 'a source',
    get sizeBytes() {
      lookedAt++;
      return sizeBytes;
    },
    open: () => Promise.reject(new Error('nobody reads it')),
  };
  const inputs = Array.from({ length: count }, () => input);
  return { inputs: inputs as never, looks: () => lookedAt };
}

describe('what an upload expects', () => {
  it('is the sum of a few inputs', async () => {
    expect(await expectedBytes([new Uint8Array(10), new Blob(['abc'])], 1e9)).toBe(13);
    expect(await expectedBytes([], 1e9)).toBe(0);
  });

  it('ends when there is enough', async () => {
    const { inputs, looks } = inputsOf(20, 1000);
    expect(await expectedBytes(inputs, 3000)).toBe(3000);
    expect(looks()).toBe(3);
  });

  it('is told from the first of thousands of small inputs', async () => {
    const { inputs, looks } = inputsOf(3000, 1000);
    expect(await expectedBytes(inputs, 1e9)).toBe(3_000_000);
    expect(looks()).toBe(32);
  });
});
