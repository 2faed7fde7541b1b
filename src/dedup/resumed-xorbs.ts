import { GrowableU32 } from '../bytes/index.js';
import type { MerkleHash } from '../hash/index.js';
import { decodeShard, type ShardXorb, verifyShard } from '../shard/index.js';
import { HASH_WORDS, hashWords } from './chunk-index.js';
import { ChunkSource } from './chunk-source.js';
import { listedXorb } from './listed-xorb.js';
import type { XorbRegistry } from './xorb-registry.js';

/**
 * Xorbs that an interrupted run of the same upload has stored. They count as the session's own: what
 * they hold is not stored again, and, as no shard may have listed them yet, the session's shards list
 * those that its files use.
 */
export class ResumedXorbs {
  readonly #registry: XorbRegistry;
  #source: ChunkSource = new ChunkSource(null, {});
  #serializedBytes = new GrowableU32();

  constructor(registry: XorbRegistry) {
    this.#registry = registry;
  }

  get source(): ChunkSource {
    return this.#source;
  }

  get memoryBytes(): number {
    return this.#source.index.memoryBytes;
  }

  /** Takes the xorbs of a plain shard that are not known yet. @throws like `decodeShard`, `verifyShard` */
  add(bytes: Uint8Array): void {
    const shard = decodeShard(bytes);
    verifyShard(shard);
    for (const xorb of shard.xorbs) {
      const id = this.#registry.idOf(xorb.hash);
      if (!this.#source.hasXorb(id)) this.#append(id, xorb);
    }
  }

  /** Forgets those that `keeps` denies. */
  keep(keeps: (xorb: MerkleHash) => boolean): void {
    const before = this.#source;
    const sizes = this.#serializedBytes;
    this.#source = new ChunkSource(null, {});
    this.#serializedBytes = new GrowableU32();
    for (let span = 0; span < before.spanCount; span++) {
      const id = before.idOf(span);
      if (!keeps(this.#registry.hashOf(id))) continue;
      this.#append(id, listedXorb(before, span, this.#registry, sizes.at(span)));
    }
  }

  /** The record of one, for a shard. */
  listed(span: number): ShardXorb {
    return listedXorb(this.#source, span, this.#registry, this.#serializedBytes.at(span));
  }

  #append(id: number, { chunkHashes, chunkLengths, serializedBytes }: ShardXorb): void {
    this.#source.openSpan(id, 'resumed');
    this.#serializedBytes.push(serializedBytes);
    const words = hashWords(chunkHashes);
    for (let i = 0; i < chunkLengths.length; i++) {
      this.#source.append(words, i * HASH_WORDS, chunkLengths[i] as number);
    }
  }
}
