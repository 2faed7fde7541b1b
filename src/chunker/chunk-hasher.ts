import { withRoom } from '../bytes/index.js';
import { type ChunkerParams, DEFAULT_PARAMS } from './params.js';
import type { GearScanner } from './ports.js';
import { createPushChunker } from './push-chunker.js';

/** One chunk of a file. `H` is what `hashChunk` returns. */
export interface HashedChunk<H> {
  /** First byte, counted from the start of the file. */
  readonly offset: number;
  readonly length: number;
  readonly hash: H;
}

/** Options of {@link createChunkHasher}. */
export interface ChunkHasherOptions<H> {
  /** @default createReadableScanner() */
  readonly scanner?: GearScanner;
  /** @default DEFAULT_PARAMS */
  readonly params?: ChunkerParams;
  /** Hash of one whole chunk; the bytes are borrowed for the call. */
  readonly hashChunk: (chunk: Uint8Array) => H;
}

/** Cuts and hashes bytes that arrive in pieces of any size. */
export interface ChunkHasher<H> {
  /** Takes the next bytes (borrowed for the call) and returns the chunks that are now complete. */
  push(bytes: Uint8Array): HashedChunk<H>[];
  /** The chunks that are left; afterwards it is ready for another file. */
  finish(): HashedChunk<H>[];
}

/**
 * Chunks and their hashes of a stream, on the calling thread. It holds at most one chunk; chunks
 * that lie in one pushed piece are hashed where they are, without a copy.
 *
 * @example
 * const hasher = createReadableBlake3();
 * const chunks = createChunkHasher({ hashChunk: (bytes) => chunkHash(hasher, bytes) });
 * chunks.push(new Uint8Array(10));
 * chunks.finish(); // [{ offset: 0, length: 10, hash: MerkleHash }]
 */
export function createChunkHasher<H>(options: ChunkHasherOptions<H>): ChunkHasher<H> {
  const { scanner, params = DEFAULT_PARAMS, hashChunk } = options;
  const chunker = createPushChunker(scanner === undefined ? { params } : { params, scanner });
  let held = new Uint8Array(0);
  let heldBytes = 0;
  let offset = 0;

  function hold(bytes: Uint8Array): void {
    held = withRoom(held, heldBytes + bytes.length, heldBytes);
    held.set(bytes, heldBytes);
    heldBytes += bytes.length;
  }

  /** Hashes chunks of the given lengths that lie in `held` and then `bytes`; holds the rest. */
  function cut(lengths: readonly number[], bytes: Uint8Array): HashedChunk<H>[] {
    let used = 0;
    const chunks = lengths.map((length) => {
      const chunk = { offset, length, hash: hashNext(length) };
      offset += length;
      return chunk;
    });
    hold(bytes.subarray(used));
    return chunks;

    function hashNext(length: number): H {
      if (heldBytes === 0) {
        used += length;
        return hashChunk(bytes.subarray(used - length, used));
      }
      const missing = Math.max(0, length - heldBytes);
      hold(bytes.subarray(used, used + missing));
      used += missing;
      const hash = hashChunk(held.subarray(0, length));
      held.copyWithin(0, length, heldBytes);
      heldBytes -= length;
      return hash;
    }
  }

  return {
    push: (bytes) => cut(chunker.push(bytes), bytes),
    finish() {
      const chunks = cut(chunker.finish(), held.subarray(0, 0));
      offset = 0;
      return chunks;
    },
  };
}
