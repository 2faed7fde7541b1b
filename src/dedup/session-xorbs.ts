import { GrowableU32 } from '../bytes/index.js';
import { xorbHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import { RECORD_HEADER_BYTES } from '../xorb/index.js';
import { ChunkSource } from './chunk-source.js';
import type { ClosedXorb } from './types.js';
import type { XorbRegistry } from './xorb-registry.js';

/** Limits of one xorb. */
export interface XorbLimits {
  /** Of raw bytes + 8 × chunks. */
  readonly maxBytes: number;
  readonly maxChunks: number;
}

/**
 * The xorbs that this session makes: at most one is open and gets all new chunks, of whatever file.
 * Its chunks are in the table from the moment they are placed. A slot is the number of its span.
 */
export class SessionXorbs {
  readonly source: ChunkSource = new ChunkSource(null, {});
  readonly #hasher: Hasher;
  readonly #registry: XorbRegistry;
  readonly #limits: XorbLimits;
  readonly #serializedBytes: GrowableU32 = new GrowableU32();
  #open = false;
  #rawBytes = 0;

  constructor(hasher: Hasher, registry: XorbRegistry, limits: XorbLimits) {
    this.#hasher = hasher;
    this.#registry = registry;
    this.#limits = limits;
  }

  /** Slot of the open xorb, or -1. */
  get openSlot(): number {
    return this.#open ? this.source.spanCount - 1 : -1;
  }

  get limits(): XorbLimits {
    return this.#limits;
  }

  /** Uncompressed bytes of all xorbs. */
  get rawBytes(): number {
    return this.#rawBytes;
  }

  /** Uncompressed bytes in the open xorb. */
  get openBytes(): number {
    return this.#open ? this.source.rawBytesOf(this.openSlot) : 0;
  }

  /** True when the open xorb must be closed before a chunk of `length` bytes. */
  isFullFor(length: number): boolean {
    const slot = this.openSlot;
    if (slot === -1) return false;
    const chunks = this.source.endOf(slot) - this.source.startOf(slot) + 1;
    const bytes = this.source.rawBytesOf(slot) + length + RECORD_HEADER_BYTES * chunks;
    return chunks > this.#limits.maxChunks || bytes > this.#limits.maxBytes;
  }

  /** Appends a chunk to the open xorb, or to a fresh one; returns its entry. */
  append(words: Uint32Array, at: number, length: number): number {
    if (!this.#open) {
      this.source.openSpan(this.#registry.open(), 'session');
      this.#serializedBytes.push(0);
      this.#open = true;
    }
    this.#rawBytes += length;
    return this.source.append(words, at, length);
  }

  /** Closes the open xorb and gives it its hash; null when none is open. */
  close(): ClosedXorb | null {
    const slot = this.openSlot;
    if (slot === -1) return null;
    this.#open = false;
    const chunkHashes = this.source.hashesOf(slot);
    const chunkLengths = this.source.lengthsOf(slot);
    const hash = xorbHash(this.#hasher, chunkHashes, chunkLengths);
    this.#registry.close(this.source.idOf(slot), hash);
    return { slot, hash, chunkHashes, chunkLengths, rawBytes: this.source.rawBytesOf(slot) };
  }

  serializedBytesOf(slot: number): number {
    return this.#serializedBytes.at(slot);
  }

  setSerializedBytes(slot: number, bytes: number): void {
    if (!(Number.isInteger(slot) && slot >= 0 && slot < this.source.spanCount)) {
      throw new RangeError(`"slot" expected 0 to ${this.source.spanCount - 1}, got ${slot}`);
    }
    if (slot === this.openSlot) throw new TypeError(`xorb ${slot} expected to be closed`);
    if (!(Number.isInteger(bytes) && bytes >= 0 && bytes <= 0xffffffff)) {
      throw new RangeError(`"bytes" expected an integer of 32 bits, got ${bytes}`);
    }
    this.#serializedBytes.set(slot, bytes);
  }
}
