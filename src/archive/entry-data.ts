import { Deflate } from 'fflate';

/** How the bytes of an entry become what stands in the archive: always a deflate stream. */
export interface EntryEncoder {
  /** The encoded bytes, valid until the next call. At most {@link ENCODE_STEP_BYTES} at a time. */
  push(bytes: Uint8Array): Uint8Array;
  /** The end of the stream, valid until the next call. */
  finish(): Uint8Array;
  /** Bytes that were pushed and have not come out, of an encoder whose output can be told ahead. */
  readonly heldBytes: number;
}

/** Most bytes in one stored block of a deflate stream. */
const STORED_BLOCK_BYTES = 0xffff;
const BLOCK_HEADER_BYTES = 5;
const BLOCKS_PER_STEP = 4;

/** So many bytes are encoded at a time: the output stays small. */
export const ENCODE_STEP_BYTES: number = BLOCKS_PER_STEP * STORED_BLOCK_BYTES;

/** Bytes that framing adds to `sizeBytes`: a header per block begun, and the last block. */
export function framingBytes(sizeBytes: number): number {
  return BLOCK_HEADER_BYTES * (Math.ceil(sizeBytes / STORED_BLOCK_BYTES) + 1);
}

/**
 * Not compressed, but framed as a deflate stream of stored blocks:
 *
 *     0  u8     1 in the last block, else 0 (BTYPE 00, aligned)
 *     1  u16le  length, then its complement
 *     5  bytes
 *
 * A truly stored entry whose size is not known in advance has no end that a reader of a stream
 * could find (Java and our own reader refuse it); this one has, for 5 bytes in 64 KiB. Blocks are
 * filled, and the rest is held for the next call: so the archive of a file is the same however its
 * bytes come. At the end it remembers nothing, so one does for all entries of an archive.
 */
export function createStoringEncoder(): EntryEncoder {
  const frame = new Uint8Array((BLOCKS_PER_STEP + 1) * (STORED_BLOCK_BYTES + BLOCK_HEADER_BYTES));
  const view = new DataView(frame.buffer);
  const held = new Uint8Array(STORED_BLOCK_BYTES);
  let heldBytes = 0;
  let at = 0;
  const put = (block: Uint8Array, isLast = false): void => {
    view.setUint8(at, isLast ? 1 : 0);
    view.setUint16(at + 1, block.length, true);
    view.setUint16(at + 3, block.length ^ 0xffff, true);
    frame.set(block, at + BLOCK_HEADER_BYTES);
    at += BLOCK_HEADER_BYTES + block.length;
  };
  const hold = (bytes: Uint8Array): number => {
    const taken = bytes.subarray(0, STORED_BLOCK_BYTES - heldBytes);
    held.set(taken, heldBytes);
    heldBytes += taken.length;
    return taken.length;
  };
  return {
    get heldBytes() {
      return heldBytes;
    },
    push(bytes) {
      at = 0;
      let start = heldBytes > 0 ? hold(bytes) : 0;
      if (heldBytes === STORED_BLOCK_BYTES) {
        put(held);
        heldBytes = 0;
      }
      for (; bytes.length - start >= STORED_BLOCK_BYTES; start += STORED_BLOCK_BYTES) {
        put(bytes.subarray(start, start + STORED_BLOCK_BYTES));
      }
      if (start < bytes.length) hold(bytes.subarray(start));
      return frame.subarray(0, at);
    },
    finish() {
      at = 0;
      if (heldBytes > 0) put(held.subarray(0, heldBytes));
      heldBytes = 0;
      put(held.subarray(0, 0), true);
      return frame.subarray(0, at);
    },
  };
}

/** Compressed, with fflate. */
export function createDeflatingEncoder(): EntryEncoder {
  let pieces: Uint8Array[] = [];
  const deflate = new Deflate({ level: 6 }, (piece) => pieces.push(piece));
  const taken = (): Uint8Array => {
    const bytes = concat(pieces);
    pieces = [];
    return bytes;
  };
  return {
    heldBytes: 0,
    push(bytes) {
      deflate.push(bytes, false);
      return taken();
    },
    finish() {
      deflate.push(new Uint8Array(0), true);
      return taken();
    },
  };
}

/** One array of several; the first itself when it is the only one. */
export function concat(pieces: readonly Uint8Array[]): Uint8Array {
  const [first] = pieces;
  if (first !== undefined && pieces.length === 1) return first;
  const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}
