import { bytesEqual } from '../bytes/index.js';
import type { MerkleHash } from '../hash/index.js';
import {
  decodeShard,
  type ShardXorb,
  shardExpired,
  shardKeyOf,
  verifyShard,
} from '../shard/index.js';
import { HASH_WORDS, hashWords } from './chunk-index.js';
import { ChunkSource } from './chunk-source.js';
import {
  MAX_KEYS,
  MAX_OUTSIDE_PROBES,
  MIN_CHUNKS_PER_XORB,
  OUTSIDE_CHUNK_BYTES,
} from './constants.js';
import type { KnownXorbRun } from './place-chunks.js';
import type { Origin } from './ports.js';
import type { ResumedXorbs } from './resumed-xorbs.js';
import type { XorbRegistry } from './xorb-registry.js';

/**
 * What shards from outside told: one source for plain ones, and one for each key, the last useful
 * first. A shard is checked whole before anything of it is taken; whether its xorbs exist only the
 * server knows, which checks every term before it registers a file.
 */
export class OutsideSources {
  readonly #registry: XorbRegistry;
  readonly #session: ChunkSource;
  readonly #resumed: ResumedXorbs;
  readonly #maxChunks: number;
  #plain: ChunkSource = new ChunkSource(null, { maxProbes: MAX_OUTSIDE_PROBES });
  /** Parts of xorbs. */
  #runs: ChunkSource = new ChunkSource(null, { maxProbes: MAX_OUTSIDE_PROBES });
  readonly #keyed: ChunkSource[] = [];
  #all: readonly ChunkSource[] = [];
  #xorbCount = 0;

  constructor(
    registry: XorbRegistry,
    { session, resumed }: { readonly session: ChunkSource; readonly resumed: ResumedXorbs },
    maxChunks: number,
  ) {
    this.#registry = registry;
    this.#session = session;
    this.#resumed = resumed;
    this.#maxChunks = maxChunks;
  }

  /**
   * Resumed, plain, parts of xorbs, then keyed ones, the last useful first; those without chunks are
   * left out.
   */
  get all(): readonly ChunkSource[] {
    return this.#all;
  }

  get keyCount(): number {
    return this.#keyed.length;
  }

  get chunkCount(): number {
    const plain = this.#plain.index.count + this.#runs.index.count;
    return this.#keyed.reduce((sum, source) => sum + source.index.count, plain);
  }

  get memoryBytes(): number {
    let bytes = this.#plain.index.memoryBytes + this.#runs.index.memoryBytes;
    for (const source of this.#keyed) bytes += source.index.memoryBytes;
    return bytes;
  }

  /** After every change: placing asks for the list once per chunk. */
  #changed(): void {
    const unkeyed = [this.#resumed.source, this.#plain, this.#runs];
    const plain = unkeyed.filter(({ index }) => index.count > 0);
    this.#all = [...plain, ...this.#keyed];
  }

  /** Takes what an interrupted run has stored. @throws like {@link ResumedXorbs.add} */
  resume(bytes: Uint8Array): void {
    this.#resumed.add(bytes);
    this.#changed();
  }

  /** Notes that a keyed source was useful, so that it is kept before others. */
  touch(source: ChunkSource): void {
    const at = this.#keyed.indexOf(source);
    if (at > 0) {
      this.#keyed.splice(at, 1);
      this.#keyed.unshift(source);
      this.#changed();
    }
  }

  /** Forgets everything, except for resumed xorbs that `keeps` vouches for. */
  clear(keeps: (xorb: MerkleHash) => boolean): void {
    this.#resumed.keep(keeps);
    this.#plain = new ChunkSource(null, { maxProbes: MAX_OUTSIDE_PROBES });
    this.#runs = new ChunkSource(null, { maxProbes: MAX_OUTSIDE_PROBES });
    this.#keyed.length = 0;
    this.#changed();
  }

  /**
   * Drops keys, those that served longest ago first, and at last the parts of xorbs, until no more
   * than `maxBytes` are used.
   */
  shrink(maxBytes: number): void {
    while (this.#keyed.length > 0 && this.memoryBytes > maxBytes) this.#keyed.pop();
    if (this.memoryBytes > maxBytes) {
      this.#runs = new ChunkSource(null, { maxProbes: MAX_OUTSIDE_PROBES });
    }
    this.#changed();
  }

  /** Takes the xorbs of a shard that are not known yet. @throws like `decodeShard`, `verifyShard` */
  add(
    bytes: Uint8Array,
    origin: Exclude<Origin, 'session' | 'resumed'>,
    { nowSeconds, maxBytes }: { readonly nowSeconds: number; readonly maxBytes: number },
  ): { xorbs: number; chunks: number } {
    const shard = decodeShard(bytes);
    verifyShard(shard);
    if (shardExpired(shard.footer, nowSeconds)) return { xorbs: 0, chunks: 0 };
    const key = shardKeyOf(shard.footer);
    const known = key === null ? this.#plain : this.#keyed.find((s) => isKeyOf(s, key));
    const fresh: ShardXorb[] = [];
    let chunks = 0;
    for (const xorb of shard.xorbs) {
      const id = this.#registry.find(xorb.hash);
      // Plain knowledge of a xorb is as good as any, and cheaper to ask.
      if (known?.hasXorb(id) || this.#plain.hasXorb(id)) continue;
      if (this.#session.hasXorb(id) || this.#resumed.source.hasXorb(id)) continue;
      fresh.push(xorb);
      chunks += xorb.chunkLengths.length;
    }
    // Numbers of xorbs are never given back, so they have a limit of their own.
    const full = this.#xorbCount + fresh.length > this.#maxChunks / MIN_CHUNKS_PER_XORB;
    const maxChunks = Math.min(this.#maxChunks, Math.floor(maxBytes / OUTSIDE_CHUNK_BYTES));
    if (fresh.length === 0 || full || !this.#makeRoom(chunks, known, maxChunks)) {
      return { xorbs: 0, chunks: 0 };
    }
    this.#xorbCount += fresh.length;
    const source = known ?? this.#openKey(key);
    this.touch(source);
    for (const xorb of fresh) {
      source.openSpan(this.#registry.idOf(xorb.hash), origin);
      const words = hashWords(xorb.chunkHashes);
      for (let i = 0; i < xorb.chunkLengths.length; i++) {
        source.append(words, i * HASH_WORDS, xorb.chunkLengths[i] as number);
      }
    }
    this.#changed();
    return { xorbs: fresh.length, chunks };
  }

  /**
   * Takes what is known of parts of xorbs, in order, as far as there is memory.
   * @returns chunks added
   */
  addRuns(
    runs: Iterable<KnownXorbRun>,
    origin: Exclude<Origin, 'session' | 'resumed'>,
    maxBytes: number,
  ): number {
    const maxChunks = Math.min(this.#maxChunks, Math.floor(maxBytes / OUTSIDE_CHUNK_BYTES));
    let added = 0;
    for (const { xorb, chunkStart, rawStart, hashes, lengths } of runs) {
      const id = this.#registry.find(xorb);
      if (this.#plain.hasXorb(id) || this.#session.hasXorb(id)) continue;
      if (this.#xorbCount >= this.#maxChunks / MIN_CHUNKS_PER_XORB) break;
      if (this.chunkCount + lengths.length > maxChunks) break;
      if (!this.#runs.hasXorb(id)) this.#xorbCount++;
      const start = { chunk: chunkStart, rawStart };
      this.#runs.openSpan(this.#registry.idOf(xorb), origin, start);
      const words = hashWords(hashes);
      for (const [i, length] of lengths.entries()) this.#runs.append(words, i * HASH_WORDS, length);
      added += lengths.length;
    }
    this.#changed();
    return added;
  }

  /** Drops the keys that served longest ago until `chunks` more fit; false when they never will. */
  #makeRoom(chunks: number, keep: ChunkSource | undefined, maxChunks: number): boolean {
    let kept = this.#plain.index.count + this.#runs.index.count;
    if (keep !== undefined && keep !== this.#plain) kept += keep.index.count;
    if (kept + chunks > maxChunks) return false;
    for (let i = this.#keyed.length - 1; i >= 0; i--) {
      if (this.chunkCount + chunks <= maxChunks) break;
      if (this.#keyed[i] !== keep) this.#keyed.splice(i, 1);
    }
    return true;
  }

  #openKey(key: Uint8Array | null): ChunkSource {
    const source = new ChunkSource(key, { maxProbes: MAX_OUTSIDE_PROBES });
    this.#keyed.unshift(source);
    if (this.#keyed.length > MAX_KEYS) this.#keyed.length = MAX_KEYS;
    return source;
  }
}

function isKeyOf(source: ChunkSource, key: Uint8Array): boolean {
  return source.key !== null && bytesEqual(source.key, key);
}
