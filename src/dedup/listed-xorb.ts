import type { ShardXorb } from '../shard/index.js';
import type { ChunkSource } from './chunk-source.js';
import type { XorbRegistry } from './xorb-registry.js';

/** The record of a xorb, as a shard lists it, from the span that holds its chunks. */
export function listedXorb(
  source: ChunkSource,
  span: number,
  registry: XorbRegistry,
  serializedBytes: number,
): ShardXorb {
  const chunkLengths = source.lengthsOf(span);
  const chunkStarts = new Uint32Array(chunkLengths.length);
  for (let i = 1; i < chunkStarts.length; i++) {
    chunkStarts[i] = (chunkStarts[i - 1] as number) + (chunkLengths[i - 1] as number);
  }
  return {
    hash: registry.hashOf(source.idOf(span)),
    chunkHashes: source.hashesOf(span),
    chunkStarts,
    chunkLengths,
    chunkFlags: new Uint32Array(chunkLengths.length),
    rawBytes: source.rawBytesOf(span),
    serializedBytes,
  };
}
