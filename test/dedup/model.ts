import { expect } from 'vitest';
import {
  createDedupSession,
  type DedupSession,
  type DedupSessionOptions,
  type FileHandle,
  type FileSummary,
} from '../../src/dedup/index.js';
import { createReadableBlake3, fileHash, MerkleHash, xorbHash } from '../../src/hash/index.js';
import {
  decodeShard,
  encodeShard,
  type Shard,
  type ShardXorb,
  verifyShard,
} from '../../src/shard/index.js';
import { randomHashes, xorbOf } from '../shard/samples.js';
import { SplitMix64 } from '../support/generators.js';
import { verifyFile } from '../support/verify-file.js';

/**
 * The model that sessions are compared with: chunks are numbers, their hashes and lengths are
 * functions of the number, and a file is a list of numbers.
 */

export const hasher = createReadableBlake3();
export const NOW = 1_760_000_000;

const universe = randomHashes(20_000, 0x5eed);

/** Chunk lengths as the chunker makes them: 8 to 128 KiB, 64 KiB on average. */
export function lengthOf(chunk: number): number {
  return 8192 + Math.floor(new SplitMix64(chunk).below(2 * 57344));
}

export interface ChunkList {
  readonly hashes: Uint8Array;
  readonly lengths: Uint32Array;
}

export function chunksOf(chunks: readonly number[]): ChunkList {
  const hashes = new Uint8Array(32 * chunks.length);
  for (const [i, chunk] of chunks.entries()) {
    hashes.set(universe.subarray(32 * chunk, 32 * chunk + 32), 32 * i);
  }
  return { hashes, lengths: Uint32Array.from(chunks, lengthOf) };
}

export function bytesOf(chunks: Iterable<number>): number {
  let bytes = 0;
  for (const chunk of chunks) bytes += lengthOf(chunk);
  return bytes;
}

/** A real xorb of these chunks, as a server would know it. */
export function outsideXorb(chunks: readonly number[]): ShardXorb {
  const { hashes, lengths } = chunksOf(chunks);
  return xorbOf(xorbHash(hasher, hashes, lengths), hashes, lengths);
}

/** A dedup answer (keyed with a key out of `keySeed`) or a plain local shard. */
export function shardBytes(
  xorbs: readonly ShardXorb[],
  keySeed: number | null,
  expiresAt = NOW + 604800,
): Uint8Array {
  const shard: Shard = { files: [], xorbs, footer: null };
  const times = { createdAt: NOW, expiresAt };
  if (keySeed === null) return encodeShard(shard, { variant: 'local', ...times });
  const hmacKey = randomHashes(1, keySeed);
  return encodeShard(shard, { variant: 'keyed', hasher, hmacKey, ...times });
}

interface OpenFile {
  readonly handle: FileHandle;
  readonly chunks: number[];
}

/**
 * A session whose every answer is checked at once: runs are new chunks in order, slots follow one
 * another, closed xorbs hold what was appended to them and keep to the limits.
 */
export class CheckedSession {
  readonly session: DedupSession;
  /** Chunks of each xorb of the session, by slot. */
  readonly slots: ChunkList[] = [];
  readonly summaries: { chunks: readonly number[]; summary: FileSummary }[] = [];
  readonly #options: Omit<DedupSessionOptions, 'hasher'>;
  readonly #outside: ShardXorb[] = [];
  #appended: { hashes: Uint8Array[]; lengths: number[] }[] = [];

  constructor(options: Omit<DedupSessionOptions, 'hasher'> = {}) {
    this.#options = options;
    this.session = createDedupSession({ hasher, ...options });
  }

  addOutside(
    xorbs: readonly ShardXorb[],
    keySeed: number | null,
    origin: 'local' | 'global' = 'global',
  ): { xorbs: number; chunks: number } {
    this.#outside.push(...xorbs);
    return this.session.addShard(shardBytes(xorbs, keySeed), origin, NOW);
  }

  open(): OpenFile {
    return { handle: this.session.openFile(), chunks: [] };
  }

  place(file: OpenFile, batch: readonly number[]): void {
    const { hashes, lengths } = chunksOf(batch);
    const { newRuns, closed } = this.session.place(file.handle, hashes, lengths);
    file.chunks.push(...batch);
    let last = 0;
    for (const run of newRuns) {
      expect(run.start).toBeGreaterThanOrEqual(last);
      expect(run.end).toBeGreaterThan(run.start);
      last = run.end;
      expect(run.slot === this.#appended.length || run.slot === this.#appended.length - 1).toBe(
        true,
      );
      this.#appended[run.slot] ??= { hashes: [], lengths: [] };
      for (let i = run.start; i < run.end; i++) {
        this.#appended[run.slot]?.hashes.push(hashes.subarray(32 * i, 32 * i + 32));
        this.#appended[run.slot]?.lengths.push(lengths[i] as number);
      }
    }
    for (const xorb of closed) this.#checkClosed(xorb);
  }

  closeXorb(): void {
    const closed = this.session.closeOpenXorb();
    if (closed !== null) this.#checkClosed(closed);
  }

  #checkClosed(closed: ReturnType<DedupSession['closeOpenXorb']> & object): void {
    const { slot, chunkHashes, chunkLengths, rawBytes } = closed;
    expect(slot).toBe(this.slots.length);
    const expected = this.#appended[slot];
    expect(Array.from(chunkLengths)).toEqual(expected?.lengths);
    expect(chunkHashes).toEqual(
      Uint8Array.from(expected?.hashes.flatMap((hash) => Array.from(hash)) ?? []),
    );
    expect(rawBytes).toBe(chunkLengths.reduce((sum, length) => sum + length, 0));
    const { xorbMaxBytes = 64 * 1024 * 1024, xorbMaxChunks = 8192 } = this.#options;
    expect(chunkLengths.length).toBeLessThanOrEqual(xorbMaxChunks);
    expect(rawBytes + 8 * chunkLengths.length).toBeLessThanOrEqual(xorbMaxBytes);
    expect(xorbHash(hasher, chunkHashes, chunkLengths).equals(closed.hash)).toBe(true);
    this.slots.push({ hashes: chunkHashes, lengths: chunkLengths });
    this.session.setSerializedBytes(slot, rawBytes + 8 * chunkLengths.length);
  }

  finish(file: OpenFile): FileSummary {
    const summary = this.session.finishFile(file.handle);
    const { hashes, lengths } = chunksOf(file.chunks);
    expect(summary.fileHash.toString()).toBe(fileHash(hasher, hashes, lengths).toString());
    expect(summary.chunkCount).toBe(file.chunks.length);
    expect(summary.sizeBytes).toBe(bytesOf(file.chunks));
    expect(summary.newBytes + summary.dedupedBytes).toBe(summary.sizeBytes);
    expect(summary.newChunks + summary.dedupedChunks).toBe(summary.chunkCount);
    expect(summary.sessionBytes + summary.localBytes + summary.globalBytes).toBe(
      summary.dedupedBytes,
    );
    this.summaries.push({ chunks: file.chunks, summary });
    return summary;
  }

  /** A whole file in batches of `batchChunks`. */
  add(chunks: readonly number[], batchChunks = 64): FileSummary {
    const file = this.open();
    for (let at = 0; at < chunks.length; at += batchChunks) {
      this.place(file, chunks.slice(at, at + batchChunks));
    }
    return this.finish(file);
  }

  /** Ends the session; rebuilds every file from the shards. */
  end(shardMaxBytes?: number): Shard[] {
    this.closeXorb();
    expect(this.#appended).toHaveLength(this.slots.length);
    const shards = this.session.shards(shardMaxBytes).map((bytes) => decodeShard(bytes));
    expect([...this.session.eachShard(shardMaxBytes)]).toHaveLength(shards.length);
    const xorbs = new Map<string, ShardXorb>();
    for (const xorb of this.#outside) xorbs.set(xorb.hash.toString(), xorb);
    const own = new Set<string>();
    for (const shard of shards) {
      verifyShard(shard);
      for (const xorb of shard.xorbs) {
        xorbs.set(xorb.hash.toString(), xorb);
        own.add(xorb.hash.toString());
        expect(xorb.serializedBytes).toBe(xorb.rawBytes + 8 * xorb.chunkLengths.length);
      }
    }
    expect(own.size).toBe(this.slots.length);
    const files = new Map(shards.flatMap((s) => s.files.map((file) => [`${file.hash}`, file])));
    for (const { chunks, summary } of this.summaries) {
      const file = files.get(summary.fileHash.toString());
      if (file === undefined) throw new Error('a finished file is in no shard');
      // Proves range hashes and file hash, so the chunk list is the file's.
      const found = verifyFile(hasher, file, (xorb) => xorbs.get(xorb.toString()) ?? null);
      expect(found).toEqual({ sizeBytes: summary.sizeBytes, chunkCount: chunks.length });
    }
    return shards;
  }

  /** Chunks that the session stored more than once. */
  storedTwice(): number {
    const seen = new Set<string>();
    let count = 0;
    for (const { hashes } of this.slots) {
      for (let at = 0; at < hashes.length; at += 32) {
        const name = MerkleHash.from(hashes, at).toString();
        if (seen.has(name)) count++;
        seen.add(name);
      }
    }
    return count;
  }

  storedBytes(): number {
    return this.slots.reduce((sum, { lengths }) => sum + lengths.reduce((a, b) => a + b, 0), 0);
  }
}

/** `[start, end)`. */
export function range(start: number, end: number): number[] {
  return Array.from({ length: end - start }, (_, i) => start + i);
}

/** How a reader fetches a file: ranged requests after reading over gaps, and bytes in all. */
export function readCost(
  shards: readonly Shard[],
  outside: readonly ShardXorb[],
  file: MerkleHash,
  gapBytes = 262144,
): { requests: number; bytes: number } {
  const xorbs = new Map<string, ShardXorb>();
  for (const xorb of [...outside, ...shards.flatMap((shard) => shard.xorbs)]) {
    xorbs.set(xorb.hash.toString(), xorb);
  }
  const terms = shards.flatMap((shard) => shard.files).find((f) => f.hash.equals(file))?.terms;
  const ranges = new Map<string, [number, number][]>();
  for (const term of terms ?? []) {
    const name = term.xorb.toString();
    const xorb = xorbs.get(name);
    if (xorb === undefined) throw new Error('unknown xorb');
    const start = xorb.chunkStarts[term.chunkStart] as number;
    const list = ranges.get(name) ?? [];
    list.push([start, start + term.unpackedBytes]);
    ranges.set(name, list);
  }
  let requests = 0;
  let bytes = 0;
  for (const list of ranges.values()) {
    list.sort((a, b) => a[0] - b[0]);
    let end = Number.NEGATIVE_INFINITY;
    for (const [start, stop] of list) {
      if (start - end > gapBytes) {
        requests++;
        bytes += stop - start;
      } else {
        bytes += Math.max(0, stop - end);
      }
      end = Math.max(end, stop);
    }
  }
  return { requests, bytes };
}
