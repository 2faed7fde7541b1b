import { bytesEqual } from '../../bytes/index.js';
import type { BlockCodec } from '../../compress/ports.js';
import { HASH_BYTES, type MerkleHash } from '../../hash/index.js';
import { createRecordDecoder } from '../../xorb/index.js';
import { damaged } from '../failures.js';
import { type CatalogFile, termOf } from '../file-catalog.js';
import { xorbKey } from '../keys.js';
import type { ByteSpan } from '../ranges.js';
import type { GatewayServices } from '../services.js';
import { pause } from '../turns.js';
import { type CatalogXorb, endOf, rawBytesOf } from '../xorb-catalog.js';

/** Chunks that are read and decoded at once: what a response holds while nobody takes it. */
const STEP_BYTES = 512 * 1024;

/**
 * Bytes `[start, end)` of a stored file, straight from the xorbs: what is not asked for is not read, and
 * each chunk is held against its hash. Each piece is the caller's for good.
 *
 * @throws OrbweaverError `INTEGRITY` for what is damaged or gone
 */
export async function* fileBytes(
  services: Pick<GatewayServices, 'store' | 'xorbs' | 'hasher'> & { readonly codec: BlockCodec },
  file: CatalogFile,
  { start, end }: ByteSpan,
): AsyncGenerator<Uint8Array, void, undefined> {
  const decoder = createRecordDecoder({ codec: services.codec, hasher: services.hasher });
  let termStart = 0;
  for (let number = 0; number < file.termCount && termStart < end; number++) {
    const term = termOf(file, number);
    const termEnd = termStart + term.unpackedBytes;
    if (termEnd > start) {
      const xorb = await xorbOf(services, term.xorb);
      let at = termStart;
      for (let chunk = term.chunkStart; chunk < term.chunkEnd && at < end; ) {
        const bytes = rawBytesOf(xorb.rawEnds, chunk, chunk + 1);
        if (at + bytes <= start) {
          at += bytes;
          chunk++;
          continue;
        }
        // Chunks that are wanted, side by side, as many as fit into a step.
        let last = chunk + 1;
        let stepBytes = bytes;
        while (last < term.chunkEnd && at + stepBytes < end) {
          const more = rawBytesOf(xorb.rawEnds, last, last + 1);
          if (stepBytes + more > STEP_BYTES) break;
          stepBytes += more;
          last++;
        }
        const piece = await decoded(chunk, last, stepBytes, xorb);
        yield piece.subarray(Math.max(0, start - at), Math.min(stepBytes, end - at));
        // Decoding is work of the thread that serves everybody.
        await pause();
        at += stepBytes;
        chunk = last;
      }
    }
    termStart = termEnd;
  }

  async function decoded(
    first: number,
    last: number,
    bytes: number,
    xorb: CatalogXorb,
  ): Promise<Uint8Array> {
    const range = { start: endOf(xorb.recordEnds, first), end: endOf(xorb.recordEnds, last) };
    const records = await services.store.read(xorbKey(xorb.hash), range);
    if (records === null) throw damaged(`xorb ${xorb.hash} is gone`);
    const piece = new Uint8Array(bytes);
    try {
      const { hashes } = decoder.decode(records, 0, records.length, piece, 0, bytes);
      const expected = xorb.chunkHashes.subarray(first * HASH_BYTES, last * HASH_BYTES);
      if (bytesEqual(hashes, expected)) return piece;
    } catch (cause) {
      throw damaged(`xorb ${xorb.hash} cannot be read`, cause);
    }
    throw damaged(`chunks of xorb ${xorb.hash} have other hashes`);
  }
}

async function xorbOf(
  { xorbs }: Pick<GatewayServices, 'xorbs'>,
  hash: MerkleHash,
): Promise<CatalogXorb> {
  const xorb = await xorbs.get(hash);
  if (xorb === null) throw damaged(`xorb ${hash} is gone`);
  return xorb;
}
