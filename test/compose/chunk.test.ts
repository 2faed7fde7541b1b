import { beforeAll, describe, expect, it } from 'vitest';
import { findCuts } from '../../src/chunker/index.js';
import { type ChunkListing, chunkInput, loadKernels } from '../../src/compose/chunk.js';
import { chunkHash, createMerkleTree } from '../../src/hash/index.js';
import type { KernelTier } from '../../src/kernels/index.js';
import { generate } from '../support/generators.js';

const BLOCK_BYTES = 4 * 1024 * 1024;

/** Random at its ends, with a stretch that has no candidate where the blocks meet. */
const DATA = generate({ kind: 'splitmix64', seed: 51, bytes: 2 * BLOCK_BYTES + 300_000 });
DATA.fill(0, BLOCK_BYTES - 500_000, BLOCK_BYTES + 700_000);

let kernels: Awaited<ReturnType<typeof loadKernels>>;
beforeAll(async () => {
  kernels = await loadKernels();
});

/** From the whole, cut in one go. */
function expected(data: Uint8Array): ChunkListing {
  const { scanner, hasher } = kernels;
  const tree = createMerkleTree(hasher);
  let offset = 0;
  const chunks = Array.from(findCuts(scanner, data), (end) => {
    const hash = chunkHash(hasher, data.subarray(offset, end));
    const chunk = { offset, length: end - offset, hash: hash.toString() };
    tree.push(hash.bytes, 0, chunk.length);
    offset = end;
    return chunk;
  });
  return { fileHash: tree.fileHash().toString(), sizeBytes: data.length, chunks };
}

async function* pieces(data: Uint8Array, pieceBytes: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < data.length; at += pieceBytes) yield data.subarray(at, at + pieceBytes);
}

describe('the chunks of an input', () => {
  it('are those of the whole, whatever its length', async () => {
    for (const around of [1, 8192, 131_072, BLOCK_BYTES, BLOCK_BYTES + 131_072, 2 * BLOCK_BYTES]) {
      for (const bytes of [around - 1, around, around + 1]) {
        const data = DATA.subarray(DATA.length - bytes);
        expect(await chunkInput(data)).toEqual(expected(data));
      }
    }
  });

  it('are the same for pieces of any size', async () => {
    const whole = expected(DATA);
    for (const pieceBytes of [999, 70_001, BLOCK_BYTES, DATA.length]) {
      expect(await chunkInput(pieces(DATA, pieceBytes))).toEqual(whole);
    }
  });

  it.each<KernelTier>(['portable', 'readable'])('are the same in the tier %s', async (tier) => {
    const data = DATA.subarray(0, BLOCK_BYTES + 400_000);
    expect(await chunkInput(data, { tier })).toEqual(expected(data));
  });

  it('are not listed for somebody who has left', async () => {
    const signal = AbortSignal.abort();
    await expect(chunkInput(DATA, { signal })).rejects.toMatchObject({ code: 'ABORTED' });
  });
});
