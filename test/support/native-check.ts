import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import { CutResolver, DEFAULT_PARAMS, findCuts } from '../../src/chunker/index.js';
import { createMerkleTree, DATA_KEY } from '../../src/hash/index.js';
import type { Kernels } from '../../src/kernels/index.js';
import { findCandidates } from './candidates.js';
import type { NativeFile } from './vectors.js';

const SEGMENT_BYTES = 1024 * 1024;

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * Checks all that is exact in the native client's result for one file: SHA-256 of the generated
 * input, chunk lengths (the serial and the parallel way), chunk hashes and file hash.
 */
export function checkNativeFile(kernels: Kernels, file: NativeFile, data: Uint8Array): void {
  expect(data.length).toBe(file.bytes);
  expect(sha256(data), 'the generated input').toBe(file.sha256);

  const cuts = findCuts(kernels.scanner, data);
  const lengths = cuts.map((end, i) => end - (i === 0 ? 0 : (cuts[i - 1] as number)));
  expect(lengths.length).toBe(file.chunks);
  if (file.chunk_lengths !== null) expect([...lengths]).toEqual(file.chunk_lengths);
  expect(sha256(new Uint8Array(lengths.buffer)), 'chunk lengths').toBe(file.chunk_lengths_sha256);
  expect(segmentedCuts(kernels, data), 'cuts by segments').toEqual([...cuts]);

  const hashes = new Uint8Array(32 * cuts.length);
  kernels.hasher.keyedMany(DATA_KEY, data, 0, cuts, cuts.length, hashes, 0);
  expect(sha256(hashes), 'chunk hashes').toBe(file.chunk_hashes_sha256);
  const tree = createMerkleTree(kernels.hasher);
  lengths.forEach((length, i) => {
    tree.push(hashes, 32 * i, length);
  });
  expect(tree.fileHash().toString()).toBe(file.file_hash);
  expect(tree.sizeBytes).toBe(file.bytes);
}

function segmentedCuts(kernels: Kernels, data: Uint8Array): number[] {
  const resolver = new CutResolver();
  const cuts: number[] = [];
  for (let start = 0; start < data.length; start += SEGMENT_BYTES) {
    const end = Math.min(start + SEGMENT_BYTES, data.length);
    const found = findCandidates(kernels.scanner, data, start, end, DEFAULT_PARAMS.maskBits);
    cuts.push(...resolver.resolve(start, end, found, 0, end === data.length));
  }
  return cuts;
}
