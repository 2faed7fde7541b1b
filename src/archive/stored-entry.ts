import { ZipPassThrough } from 'fflate';

/** Most bytes in one stored block of a deflate stream. */
const STORED_BLOCK_BYTES = 0xffff;

/**
 * An entry that is not compressed, but framed as a deflate stream of stored blocks:
 *
 *     0  u8     1 in the last block, else 0 (BTYPE 00, aligned)
 *     1  u16le  length, then its complement
 *     5  bytes
 *
 * A truly stored entry whose size is not known in advance has no end that a reader of a stream
 * could find (Java and our own reader refuse it); this one has, for 5 bytes in 64 KiB. fflate's own
 * level 0 does the same but copies everything once more.
 */
export class StoredEntry extends ZipPassThrough {
  override compression: number = 8;

  protected override process(chunk: Uint8Array<ArrayBuffer>, final: boolean): void {
    for (let start = 0; start < chunk.length; start += STORED_BLOCK_BYTES) {
      const block = chunk.subarray(start, start + STORED_BLOCK_BYTES);
      this.ondata(null, blockHeader(block.length, false), false);
      this.ondata(null, block, false);
    }
    if (final) this.ondata(null, blockHeader(0, true), true);
  }
}

function blockHeader(length: number, isLast: boolean): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(5);
  const view = new DataView(header.buffer);
  view.setUint8(0, isLast ? 1 : 0);
  view.setUint16(1, length, true);
  view.setUint16(3, length ^ 0xffff, true);
  return header;
}
