import { createBLAKE3 } from 'hash-wasm';
import { beforeAll, describe, expect, it } from 'vitest';
import { createChunkHasher } from '../../src/chunker/index.js';
import { createDedupSession } from '../../src/dedup/index.js';
import { DATA_KEY, MerkleHash } from '../../src/hash/index.js';
import { decodeShard, type ShardXorb } from '../../src/shard/index.js';
import { generate } from '../support/generators.js';
import { type NativeFile, nativeSessions } from '../support/vectors.js';
import { verifyFile } from '../support/verify-file.js';
import { hasher } from './model.js';

/**
 * Sessions of the native client, placed by ours. File hashes are exact; what is stored must be the
 * unique chunks and nothing else (the native client stores data twice that two files share).
 */

interface Chunks {
  readonly hashes: Uint8Array;
  readonly lengths: Uint32Array;
}

let hashChunk: (bytes: Uint8Array) => Uint8Array;

beforeAll(async () => {
  const blake3 = await createBLAKE3(256, DATA_KEY);
  hashChunk = (bytes) => blake3.init().update(bytes).digest('binary');
});

function chunksOf(file: NativeFile): Chunks {
  const chunker = createChunkHasher({ hashChunk: (bytes) => hashChunk(bytes) });
  const chunks = [...chunker.push(generate(file.spec)), ...chunker.finish()];
  const hashes = new Uint8Array(32 * chunks.length);
  for (const [i, { hash }] of chunks.entries()) hashes.set(hash, 32 * i);
  return { hashes, lengths: Uint32Array.from(chunks, ({ length }) => length) };
}

function uniqueBytes(files: readonly Chunks[]): number {
  const seen = new Map<string, number>();
  for (const { hashes, lengths } of files) {
    for (const [i, length] of lengths.entries()) {
      seen.set(MerkleHash.from(hashes, 32 * i).toString(), length);
    }
  }
  return [...seen.values()].reduce((sum, length) => sum + length, 0);
}

const IDS = [
  'empty',
  'one-byte',
  'random-1mb',
  'zeros-10mb',
  'edited-copy',
  'same-twice',
  'self-repeat',
  'fragments',
  'small-files',
];

describe.each(nativeSessions().filter(({ id }) => IDS.includes(id)))('session $id', (native) => {
  it('stores each unique chunk once and gives every file its hash', () => {
    const files = native.files.map(chunksOf);
    const session = createDedupSession({ hasher });
    // All files at once, a slab of chunks of each in turn.
    const open = files.map((chunks) => ({ chunks, handle: session.openFile() }));
    for (let at = 0; files.some(({ lengths }) => at < lengths.length); at += 32) {
      for (const { chunks, handle } of open) {
        session.place(
          handle,
          chunks.hashes.subarray(32 * at, 32 * (at + 32)),
          chunks.lengths.subarray(at, at + 32),
        );
      }
    }
    const summaries = open.map(({ handle }) => session.finishFile(handle));
    expect(summaries.map((summary) => summary.fileHash.toString())).toEqual(
      native.files.map((file) => file.file_hash),
    );
    expect(summaries.map((summary) => summary.sizeBytes)).toEqual(
      native.files.map((file) => file.bytes),
    );
    session.closeOpenXorb();
    const unique = uniqueBytes(files);
    expect(session.stats().rawBytes).toBe(unique);
    expect(summaries.reduce((sum, { newBytes }) => sum + newBytes, 0)).toBe(unique);
    const theirs = Object.values(native.xorbs).reduce((sum, xorb) => sum + xorb.raw_bytes, 0);
    expect(unique).toBeLessThanOrEqual(theirs);
    if (native.id === 'same-twice') expect(unique).toBe(10_000_000);
    if (native.id === 'edited-copy') expect(unique).toBeLessThan(10_400_000);

    const xorbs = new Map<string, ShardXorb>();
    const shards = session.shards().map((bytes) => decodeShard(bytes));
    for (const xorb of shards.flatMap((shard) => shard.xorbs)) xorbs.set(`${xorb.hash}`, xorb);
    for (const file of shards.flatMap((shard) => shard.files)) {
      verifyFile(hasher, file, (xorb) => xorbs.get(xorb.toString()) ?? null);
    }
  });
});

describe('files one after another', () => {
  it('lie in one xorb as those of the native client do when they share nothing', () => {
    const native = nativeSessions().find(({ id }) => id === 'small-files');
    if (native === undefined) throw new Error('no session small-files');
    const session = createDedupSession({ hasher });
    for (const file of native.files) {
      const handle = session.openFile();
      const { hashes, lengths } = chunksOf(file);
      session.place(handle, hashes, lengths);
      session.finishFile(handle);
    }
    expect(session.closeOpenXorb()?.hash.toString()).toBe(Object.keys(native.xorbs)[0]);
    const [shard] = session.shards().map((bytes) => decodeShard(bytes));
    const terms = shard?.files.map((file) => [
      file.hash.toString(),
      file.terms.map((t) => [t.xorb.toString(), t.unpackedBytes, t.chunkStart, t.chunkEnd]),
    ]);
    const theirs = native.files.map((file) => [file.file_hash, file.terms]);
    expect(new Map(terms as [string, unknown][])).toEqual(new Map(theirs as [string, unknown][]));
  });
});
