/** Copies `bytes` into `target` at `offset`. */
export type SlabCopy = (target: Uint8Array, offset: number, bytes: Uint8Array) => void;

/**
 * Copies into slabs, which are views of shared memory. V8 copies into shared memory by words only
 * when source and target lie alike within a word, else byte by byte. So bytes that lie otherwise
 * are first moved within ordinary memory. Two-core EPYC, Node 20.20, pieces of 64 KiB, 2026-11:
 * 1.3 GB/s unlike, 3.2 GB/s alike, 3.0 GB/s by way of the stage.
 *
 * @param maxBytes longest piece
 */
export function createSlabCopy(maxBytes: number): SlabCopy {
  const stage = new Uint8Array(maxBytes + WORD_BYTES);
  return (target, offset, bytes) => {
    const inWord = (target.byteOffset + offset) % WORD_BYTES;
    if (!(target.buffer instanceof SharedArrayBuffer) || bytes.byteOffset % WORD_BYTES === inWord) {
      target.set(bytes, offset);
      return;
    }
    const staged = stage.subarray(inWord, inWord + bytes.length);
    staged.set(bytes);
    target.set(staged, offset);
  };
}

/** The widest word that engines copy at a time. */
export const WORD_BYTES = 8;
