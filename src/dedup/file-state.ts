import { GrowableBytes, GrowableU32 } from '../bytes/index.js';
import { createMerkleTree, type MerkleTree, rangeHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import type { ChunkSource } from './chunk-source.js';
import { type FinishedFile, TERM_FIELDS } from './finished-files.js';
import type { FilePlacement, Origin } from './ports.js';
import { createQueryState, type QueryState } from './query-policy.js';
import type { FileSummary } from './types.js';

const MAX_TERM_BYTES = 0xffffffff;
/** Consecutive chunks to note as the next part of the file. */
export interface NextPart {
  readonly xorb: number;
  readonly chunkStart: number;
  readonly bytes: number;
  /** Their plain hashes. */
  readonly hashes: Uint8Array;
  readonly lengths: Uint32Array;
  /** Null for new chunks. */
  readonly origin: Origin | null;
  /** The entry of the last chunk, from where a run may go on. */
  readonly source: ChunkSource;
  readonly lastEntry: number;
}

/**
 * One file while its chunks come: the terms so far, the tree of its hash, counters. The hashes of
 * the last term only are kept, until it ends and its range hash is made, so that memory grows with
 * the terms of the file, not with its chunks.
 */
export class FileState {
  readonly placement: FilePlacement;
  readonly queries: QueryState = createQueryState();
  /** Last chunk placed: where the next one would continue it. */
  tail: { readonly source: ChunkSource; readonly entry: number } | null = null;
  refusedBytes = 0;

  readonly #hasher: Hasher;
  readonly #tree: MerkleTree;
  readonly #terms: GrowableU32 = new GrowableU32();
  readonly #verification: GrowableBytes = new GrowableBytes();
  readonly #termHashes: GrowableBytes = new GrowableBytes();
  readonly #bytes: Record<Origin | 'new', number> = {
    new: 0,
    session: 0,
    resumed: 0,
    local: 0,
    global: 0,
  };
  #newChunks = 0;
  #xorb = -1;
  #chunkStart = 0;
  #chunkEnd = 0;
  #termBytes = 0;

  constructor(hasher: Hasher, placement: FilePlacement) {
    this.#hasher = hasher;
    this.#tree = createMerkleTree(hasher);
    this.placement = placement;
  }

  get chunkCount(): number {
    return this.#tree.count;
  }

  /** Terms so far, the one that still grows included. */
  get termCount(): number {
    return this.#terms.length / TERM_FIELDS + (this.#xorb === -1 ? 0 : 1);
  }

  /** Bytes that are referred to in xorbs from outside. */
  get outsideBytes(): number {
    return this.#bytes.local + this.#bytes.global;
  }

  /** True when chunks from `chunkStart` of `xorb` make the last term longer. */
  continuesTerm(xorb: number, chunkStart: number): boolean {
    return xorb === this.#xorb && chunkStart === this.#chunkEnd;
  }

  /** Notes the next chunks; false when they made the last term longer. */
  append(part: NextPart): boolean {
    const startsTerm =
      !this.continuesTerm(part.xorb, part.chunkStart) ||
      this.#termBytes + part.bytes > MAX_TERM_BYTES;
    if (startsTerm) {
      this.#endTerm();
      this.#xorb = part.xorb;
      this.#chunkStart = part.chunkStart;
      this.#chunkEnd = part.chunkStart;
    }
    this.#chunkEnd += part.lengths.length;
    this.#termBytes += part.bytes;
    this.#termHashes.push(part.hashes);
    this.#tree.pushAll(part.hashes, part.lengths);
    this.#bytes[part.origin ?? 'new'] += part.bytes;
    if (part.origin === null) this.#newChunks += part.lengths.length;
    this.tail = { source: part.source, entry: part.lastEntry };
    return startsTerm;
  }

  /** Ends the file. */
  finish(sha256: Uint8Array | null): { file: FinishedFile; summary: FileSummary } {
    this.#endTerm();
    const hash = this.#tree.fileHash();
    const { session, global } = this.#bytes;
    const local = this.#bytes.local + this.#bytes.resumed;
    const file: FinishedFile = {
      hash,
      terms: this.#terms.view(),
      verification: this.#verification.view(),
      sha256,
    };
    const summary: FileSummary = {
      fileHash: hash,
      sizeBytes: this.#tree.sizeBytes,
      chunkCount: this.#tree.count,
      termCount: this.#terms.length / TERM_FIELDS,
      newBytes: this.#bytes.new,
      newChunks: this.#newChunks,
      dedupedBytes: session + local + global,
      dedupedChunks: this.#tree.count - this.#newChunks,
      sessionBytes: session,
      localBytes: local,
      globalBytes: global,
      refusedBytes: this.refusedBytes,
    };
    return { file, summary };
  }

  #endTerm(): void {
    if (this.#xorb === -1) return;
    const count = this.#chunkEnd - this.#chunkStart;
    this.#verification.push(rangeHash(this.#hasher, this.#termHashes.view(), 0, count).bytes);
    this.#terms.push(this.#xorb);
    this.#terms.push(this.#chunkStart);
    this.#terms.push(this.#chunkEnd);
    this.#terms.push(this.#termBytes);
    this.#termHashes.clear();
    this.#termBytes = 0;
    this.#xorb = -1;
  }
}
