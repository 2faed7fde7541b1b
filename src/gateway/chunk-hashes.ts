import { type ByteSpan, createWindowScanner } from '../chunker/index.js';
import {
  createSubtreeBuilder,
  HASH_BYTES,
  type MerkleHash,
  type MerkleSubtree,
  rangeHash,
} from '../hash/index.js';
import type { Hasher } from '../hash/ports.js';
import type { FileChunkHashes } from '../plan/index.js';
import { type CatalogFile, termOf } from './file-catalog.js';
import { storedXorb } from './reconstruct.js';
import type { TermTrees } from './term-trees.js';
import { createYielder, mapLimited } from './turns.js';
import { type CatalogXorb, rawBytesOf, type XorbCatalog } from './xorb-catalog.js';

/**
 * What a client needs to edit a file, or to prove a range of it, without reading the rest: one walk over
 * the chunks of the file in order, from the footers of its xorbs. Chunks of windows are left out, those
 * between them are folded as they come, so that memory does not grow with the file.
 */
export async function fileChunkHashes(
  {
    xorbs,
    trees,
    hasher,
  }: { readonly xorbs: XorbCatalog; readonly trees: TermTrees; readonly hasher: Hasher },
  file: CatalogFile,
  dirty: readonly ByteSpan[],
): Promise<FileChunkHashes> {
  const scanner = createWindowScanner(dirty);
  const footers = createFooters(xorbs, file);
  const yieldAfter = createYielder(CHUNKS_PER_TURN);
  const gaps: (MerkleSubtree | null)[] = [];
  const gapVerification: MerkleHash[] = [];
  let gap = createSubtreeBuilder(hasher, true);
  let chunkCount = 0;
  let sizeBytes = 0;
  for (let index = 0; index < file.termCount; index++) {
    const term = termOf(file, index);
    const { chunkStart, chunkEnd, unpackedBytes } = term;
    chunkCount += chunkEnd - chunkStart;
    // Short ones come chunk by chunk: a client learns single chunks from short gaps.
    if (chunkEnd - chunkStart >= FOLDED_CHUNKS && scanner.skip(unpackedBytes)) {
      const folded = await trees.get(term, () => footers.get(index));
      gap.append(folded.tree);
      gapVerification.push(folded.rangeHash);
      sizeBytes += unpackedBytes;
      const others = yieldAfter(chunkEnd - chunkStart);
      if (others !== undefined) await others;
      continue;
    }
    const { chunkHashes, rawEnds } = await footers.get(index);
    let isOutside = true;
    for (let chunk = chunkStart; chunk < chunkEnd; chunk++) {
      const lengthBytes = rawBytesOf(rawEnds, chunk, chunk + 1);
      const place = scanner.push(lengthBytes);
      if (place === 'opens') {
        gaps.push(gap.finish(false));
        gap = createSubtreeBuilder(hasher, false);
      }
      if (place === 'outside') gap.push(chunkHashes, chunk * HASH_BYTES, lengthBytes);
      else isOutside = false;
      sizeBytes += lengthBytes;
    }
    if (isOutside) gapVerification.push(rangeHash(hasher, chunkHashes, chunkStart, chunkEnd));
    const others = yieldAfter(chunkEnd - chunkStart);
    if (others !== undefined) await others;
  }
  gaps.push(gap.finish(true));
  return { fileSizeBytes: sizeBytes, chunkCount, windows: scanner.windows, gaps, gapVerification };
}

/** Chunks between two pauses: a few milliseconds of hashing. */
const CHUNKS_PER_TURN = 2048;
/** Terms of so many chunks are folded once, and remembered. */
const FOLDED_CHUNKS = 64;
/** Footers that are read at a time, and held. */
const FOOTERS_AHEAD = 16;

/** The footers of the xorbs of a file in the order of its terms, read a few at a time. */
function createFooters(
  catalog: XorbCatalog,
  file: CatalogFile,
): { get(term: number): Promise<CatalogXorb> } {
  let group = new Map<number, CatalogXorb>();
  return {
    async get(term) {
      const xorb = file.termXorbs[term] as number;
      const known = group.get(xorb);
      if (known !== undefined) return known;
      const wanted = new Set<number>();
      for (let at = term; at < file.termCount && wanted.size < FOOTERS_AHEAD; at++) {
        wanted.add(file.termXorbs[at] as number);
        if (at - term > FOOTERS_AHEAD * FOOTERS_AHEAD) break;
      }
      group = new Map(
        await mapLimited([...wanted], FOOTERS_AHEAD, async (index) => {
          const footer = await storedXorb(catalog, file.xorbs[index] as MerkleHash);
          return [index, footer] as const;
        }),
      );
      return group.get(xorb) as CatalogXorb;
    },
  };
}
