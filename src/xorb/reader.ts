import { bytesEqual } from '../bytes/index.js';
import type { BlockCodec } from '../compress/ports.js';
import { OrbweaverError } from '../errors.js';
import { HASH_BYTES, MerkleHash } from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import type { XorbInfo } from './info.js';
import { createRecordDecoder, type RecordDecoder } from './record-decoder.js';

export interface XorbReaderOptions {
  readonly codec: BlockCodec;
  readonly hasher: Hasher;
}

/** Half-open range of bytes. */
export interface XorbByteRange {
  readonly start: number;
  readonly end: number;
}

/**
 * Reads ranges of chunks of one xorb whose footer is known, from bytes that the caller fetches.
 *
 * @example
 * const reader = new XorbReader({ codec, hasher }, readStoredXorb(bytes));
 * const { start, end } = reader.byteRange(3, 7); // HTTP: `bytes=${start}-${end - 1}`
 * const raw = reader.decode(bytes.subarray(start, end), 3, 7);
 */
export class XorbReader {
  readonly info: XorbInfo;
  readonly #decoder: RecordDecoder;

  constructor(options: XorbReaderOptions, info: XorbInfo) {
    this.info = info;
    this.#decoder = createRecordDecoder(options);
  }

  get chunkCount(): number {
    return this.info.recordEnds.length;
  }

  /** Uncompressed bytes of all chunks. */
  get rawBytes(): number {
    return endBefore(this.info.rawEnds, this.chunkCount);
  }

  /** Where the records of chunks `[chunkStart, chunkEnd)` lie in the stored bytes. @throws RangeError */
  byteRange(chunkStart: number, chunkEnd: number): XorbByteRange {
    return this.#range(this.info.recordEnds, chunkStart, chunkEnd);
  }

  /** Where the same chunks lie in the uncompressed xorb. @throws RangeError */
  rawRange(chunkStart: number, chunkEnd: number): XorbByteRange {
    return this.#range(this.info.rawEnds, chunkStart, chunkEnd);
  }

  /** The chunk that holds byte `rawOffset` of the uncompressed xorb. @throws RangeError */
  chunkAt(rawOffset: number): number {
    if (!(rawOffset >= 0 && rawOffset < this.rawBytes)) {
      throw new RangeError(`"rawOffset" expected 0 to ${this.rawBytes - 1}, got ${rawOffset}`);
    }
    let low = 0;
    let high = this.chunkCount - 1;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.info.rawEnds[middle] as number) > rawOffset) high = middle;
      else low = middle + 1;
    }
    return low;
  }

  /** Hash of chunk `index`. @throws RangeError */
  chunkHash(index: number): MerkleHash {
    if (!(index >= 0 && index < this.chunkCount)) {
      throw new RangeError(`"index" expected 0 to ${this.chunkCount - 1}, got ${index}`);
    }
    return MerkleHash.from(this.info.chunkHashes, HASH_BYTES * index);
  }

  /**
   * Decodes chunks `[chunkStart, chunkEnd)` from exactly the bytes of {@link byteRange} and checks
   * each against its hash. The result is owned by the caller.
   *
   * @throws OrbweaverError `INTEGRITY` a chunk has another hash; `SIZE_MISMATCH` and the errors of
   * the record decoder
   * @throws RangeError when the chunks do not exist
   */
  decode(bytes: Uint8Array, chunkStart: number, chunkEnd: number): Uint8Array {
    const stored = this.byteRange(chunkStart, chunkEnd);
    if (bytes.length !== stored.end - stored.start) {
      throw new OrbweaverError(
        'SIZE_MISMATCH',
        `"bytes" expected ${stored.end - stored.start} bytes, got ${bytes.length}`,
        { field: 'bytes', expected: stored.end - stored.start, found: bytes.length },
      );
    }
    const raw = this.rawRange(chunkStart, chunkEnd);
    const out = new Uint8Array(raw.end - raw.start);
    const { hashes } = this.#decoder.decode(bytes, 0, bytes.length, out, 0, out.length);
    this.#checkHashes(hashes, chunkStart, chunkEnd);
    return out;
  }

  #checkHashes(hashes: Uint8Array, chunkStart: number, chunkEnd: number): void {
    const expected = this.info.chunkHashes.subarray(HASH_BYTES * chunkStart, HASH_BYTES * chunkEnd);
    if (bytesEqual(hashes, expected)) return;
    for (let at = 0; at < expected.length; at += HASH_BYTES) {
      const found = hashes.subarray(at, at + HASH_BYTES);
      const wanted = expected.subarray(at, at + HASH_BYTES);
      if (found.length === wanted.length && bytesEqual(found, wanted)) continue;
      const chunk = chunkStart + at / HASH_BYTES;
      throw new OrbweaverError('INTEGRITY', `chunk ${chunk} does not have its hash`, {
        field: 'chunk hash',
        chunk,
        expected: MerkleHash.from(wanted).toString(),
      });
    }
    throw new OrbweaverError(
      'SIZE_MISMATCH',
      `"chunks" expected ${chunkEnd - chunkStart}, got ${hashes.length / HASH_BYTES}`,
      { field: 'chunks' },
    );
  }

  #range(ends: Uint32Array, chunkStart: number, chunkEnd: number): XorbByteRange {
    if (!(chunkStart >= 0 && chunkStart <= chunkEnd && chunkEnd <= this.chunkCount)) {
      throw new RangeError(
        `chunks [${chunkStart}, ${chunkEnd}) expected inside [0, ${this.chunkCount})`,
      );
    }
    return { start: endBefore(ends, chunkStart), end: endBefore(ends, chunkEnd) };
  }
}

function endBefore(ends: Uint32Array, index: number): number {
  return index === 0 ? 0 : (ends[index - 1] as number);
}
