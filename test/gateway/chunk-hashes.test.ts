import { MerkleHashSubtree } from '@huggingface/xetchunk-wasm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  buildSubtree,
  FILE_KEY,
  MerkleHash,
  type MerkleSubtree,
  mergeSubtrees,
  rangeHash,
  subtreeFromJSON,
  subtreeRoot,
  subtreeToJSON,
} from '../../src/hash/index.js';
import { type FileChunkHashesJson, parseFileChunkHashes } from '../../src/plan/index.js';
import { dirtyWindows } from '../support/windows.js';
import { reconstruction } from './support/reader.js';
import {
  buildXorb,
  createRig,
  fileOf,
  hasher,
  publish,
  READ_TOKEN,
  type Rig,
  randomChunks,
} from './support/rig.js';

// Some chunks prove a boundary (16 KiB and more), some do not.
const lengthsOf = (count: number): number[] =>
  Array.from({ length: count }, (_, i) => (i % 5 === 3 ? 300 + i : 16_384 + i));
const first = buildXorb(randomChunks(50, lengthsOf(40)));
const second = buildXorb(randomChunks(51, lengthsOf(30)));
const pieces = [
  [first, 0, 17],
  [second, 3, 30],
  [first, 10, 11],
  [first, 20, 40],
] as const;
const file = fileOf(pieces);
const chunks = pieces.flatMap(([xorb, start, end]) =>
  Array.from({ length: end - start }, (_, i) => {
    const chunk = start + i;
    const rawStart = chunk === 0 ? 0 : (xorb.rawEnds[chunk - 1] as number);
    return {
      hash: xorb.chunkHashes.subarray(32 * chunk, 32 * chunk + 32),
      size: (xorb.rawEnds[chunk] as number) - rawStart,
    };
  }),
);
const sizes = chunks.map(({ size }) => size);
const sizeBytes = sizes.reduce((sum, size) => sum + size, 0);

async function ask(rig: Rig, ranges: string): Promise<Response> {
  return rig.send('GET', `/v2/file-chunk-hashes/${file.hash}`, {
    token: READ_TOKEN,
    headers: { 'x-range-dirty': ranges },
  });
}

/** The chunks of one window, as a client has them that has read it. */
function windowTree({ start, end }: { start: number; end: number }): MerkleSubtree {
  let position = 0;
  const inside = chunks.filter(({ size }) => {
    position += size;
    return position > start && position <= end;
  });
  const hashes = new Uint8Array(32 * inside.length);
  for (const [i, { hash }] of inside.entries()) hashes.set(hash, 32 * i);
  const ends = { atStart: start === 0, atEnd: end === sizeBytes };
  return buildSubtree(
    hasher,
    hashes,
    inside.map(({ size }) => size),
    ends,
  );
}

const keyed = (root: MerkleHash): string => {
  const out = new Uint8Array(32);
  hasher.keyed(FILE_KEY, root.bytes, out, 0);
  return MerkleHash.from(out).toString();
};

describe('file-chunk-hashes', () => {
  it('gives, with the chunks of the windows, the hash of the file', async () => {
    const rig = createRig();
    await publish(rig, [first, second], [file]);
    const range = fc.tuple(fc.nat(sizeBytes - 1), fc.integer({ min: 1, max: 60_000 }));
    await fc.assert(
      fc.asyncProperty(fc.array(range, { minLength: 1, maxLength: 5 }), async (ranges) => {
        const header = ranges.map(([start, length]) => `${start}-${start + length - 1}`).join(',');
        const response = await ask(rig, `bytes=${header}`);
        expect(response.status).toBe(200);
        const json = (await response.json()) as FileChunkHashesJson;
        const { windows, gaps, chunkCount, fileSizeBytes } = parseFileChunkHashes(json);
        expect([chunkCount, fileSizeBytes]).toEqual([chunks.length, sizeBytes]);
        const dirty = ranges.map(([start, length]) => ({ start, end: start + length }));
        expect(windows).toEqual(dirtyWindows(sizes, dirty));
        const parts = gaps.flatMap((gap, i) => [
          ...(gap === null ? [] : [gap]),
          ...(windows[i] === undefined ? [] : [windowTree(windows[i])]),
        ]);
        expect(keyed(subtreeRoot(mergeSubtrees(hasher, parts)))).toBe(file.hash.toString());
        // The other implementation composes it too.
        const theirs = windows.flatMap((window, i) => [
          ...(json.hashRanges[i] === null ? [] : [json.hashRanges[i]]),
          subtreeToJSON(windowTree(window)),
        ]);
        const tail = json.hashRanges.at(-1);
        if (tail !== null && tail !== undefined) theirs.push(tail);
        const merged = MerkleHashSubtree.merge(
          theirs.map((part) => MerkleHashSubtree.fromJSON(part as never)),
        );
        expect(keyed(subtreeRoot(subtreeFromJSON(merged.toJSON())))).toBe(file.hash.toString());
      }),
      { numRuns: 40, seed: 7 },
    );
  });

  it('gives the range hashes of the terms that lie outside of the windows', async () => {
    const rig = createRig();
    await publish(rig, [first, second], [file]);
    const answer = (await (await ask(rig, 'bytes=0-0')).json()) as FileChunkHashesJson;
    expect(answer.gapVerification).toEqual([
      rangeHash(hasher, second.chunkHashes, 3, 30).toString(),
      rangeHash(hasher, first.chunkHashes, 10, 11).toString(),
      rangeHash(hasher, first.chunkHashes, 20, 40).toString(),
    ]);
  });

  it('cuts ranges at the end of the file', async () => {
    const rig = createRig();
    await publish(rig, [first], [fileOf([[first, 0, 40]])]);
    await publish(rig, [second], [file]);
    const open = (await (await ask(rig, `bytes=${sizeBytes - 1}-`)).json()) as FileChunkHashesJson;
    const most = `bytes=${sizeBytes - 1}-9007199254740990,9007199254740000-9007199254740001`;
    expect(await (await ask(rig, most)).json()).toEqual(open);
    expect(open.windows).toHaveLength(1);
    expect(open.hashRanges[1]).toBeNull();
  });

  it.each([
    ['no header', undefined],
    ['no range', 'bytes='],
    ['a range behind the end', `bytes=${sizeBytes}-`],
    ['the last bytes', 'bytes=-5'],
    ['another unit', 'chunks=0-1'],
  ])('is 400 for %s', async (_name, header) => {
    const rig = createRig();
    await publish(rig, [first, second], [file]);
    const headers: Record<string, string> = header === undefined ? {} : { 'x-range-dirty': header };
    const path = `/v2/file-chunk-hashes/${file.hash}`;
    expect((await rig.send('GET', path, { headers })).status).toBe(400);
  });

  it('is 404 for a file that is not registered, and asks for a token', async () => {
    const rig = createRig();
    expect((await ask(rig, 'bytes=0-1')).status).toBe(404);
    const path = `/v2/file-chunk-hashes/${file.hash}`;
    expect((await rig.send('GET', path, { token: null })).status).toBe(401);
  });
});

describe('chunk_byte_sizes', () => {
  it.each([1, 2] as const)('are in a reconstruction of version %i that asks', async (version) => {
    const rig = createRig();
    await publish(rig, [first, second], [file]);
    const whole = `${file.hash}?chunk_byte_sizes=true`;
    const sized = await reconstruction(rig, whole, { version });
    expect(sized.terms.flatMap(({ chunkBytes }) => [...(chunkBytes ?? [])])).toEqual(sizes);
    const plain = await reconstruction(rig, file.hash.toString(), { version });
    expect(plain.terms.map(({ chunkBytes }) => chunkBytes)).toEqual(
      file.terms.map(() => undefined),
    );
    const part = await reconstruction(rig, whole, { version, range: 'bytes=20000-20001' });
    expect(part.terms.map(({ chunkBytes }) => [...(chunkBytes ?? [])])).toEqual([[sizes[1]]]);
  });
});
