import { HASH_BYTES, MerkleHash } from '../hash/index.js';
import {
  encodeShard,
  planShards,
  RECORD_BYTES,
  type ShardFile,
  type ShardTerm,
  type ShardXorb,
} from '../shard/index.js';
import { type FinishedFile, TERM_FIELDS } from './file-state.js';
import type { SessionXorbs } from './session-xorbs.js';
import type { XorbRegistry } from './xorb-registry.js';

/** What the shards of a session are made of. */
export interface SessionContents {
  readonly files: readonly FinishedFile[];
  readonly xorbs: SessionXorbs;
  readonly registry: XorbRegistry;
}

/**
 * The upload bodies of a session, one at a time: all finished files with verification, and the
 * xorbs that the session made (others are registered already), each beside the first file that
 * names it. @throws TypeError while a xorb is open
 */
export function* sessionShards(
  contents: SessionContents,
  maxBytes: number,
): Generator<Uint8Array, undefined> {
  const { xorbs, files, registry } = contents;
  if (xorbs.openSlot !== -1) {
    throw new TypeError('shards expected after closeOpenXorb(), a xorb is still open');
  }
  const { source } = xorbs;
  const slots = new Map<number, number>();
  for (let slot = 0; slot < source.spanCount; slot++) slots.set(source.idOf(slot), slot);
  const parts = planShards(
    {
      fileCount: files.length,
      xorbCount: source.spanCount,
      fileBytes: (file) => recordBytes(files[file] as FinishedFile),
      chunkCount: (slot) => source.endOf(slot) - source.startOf(slot),
      *xorbsOf(file) {
        const { terms } = files[file] as FinishedFile;
        for (let at = 0; at < terms.length; at += TERM_FIELDS) {
          const slot = slots.get(terms[at] as number);
          if (slot !== undefined) yield slot;
        }
      },
    },
    maxBytes,
  );
  for (const part of parts) {
    yield encodeShard(
      {
        files: part.files.map((file) => shardFile(files[file] as FinishedFile, registry)),
        xorbs: part.xorbs.map((slot) => shardXorb(slot, xorbs, registry)),
        footer: null,
      },
      { variant: 'upload' },
    );
  }
}

/** Header, terms, verification, and metadata when there is a SHA-256. */
function recordBytes(file: FinishedFile): number {
  const terms = file.terms.length / TERM_FIELDS;
  return RECORD_BYTES * (1 + 2 * terms + (file.sha256 === null ? 0 : 1));
}

function shardFile(file: FinishedFile, registry: XorbRegistry): ShardFile {
  const terms: ShardTerm[] = [];
  const verification: MerkleHash[] = [];
  for (let at = 0; at < file.terms.length; at += TERM_FIELDS) {
    terms.push({
      xorb: registry.hashOf(file.terms[at] as number),
      chunkStart: file.terms[at + 1] as number,
      chunkEnd: file.terms[at + 2] as number,
      unpackedBytes: file.terms[at + 3] as number,
    });
    verification.push(MerkleHash.from(file.verification, (at / TERM_FIELDS) * HASH_BYTES));
  }
  return { hash: file.hash, terms, verification, sha256: file.sha256 };
}

function shardXorb(slot: number, xorbs: SessionXorbs, registry: XorbRegistry): ShardXorb {
  const { source } = xorbs;
  const chunkLengths = source.lengthsOf(slot);
  const chunkStarts = new Uint32Array(chunkLengths.length);
  for (let i = 1; i < chunkStarts.length; i++) {
    chunkStarts[i] = (chunkStarts[i - 1] as number) + (chunkLengths[i - 1] as number);
  }
  return {
    hash: registry.hashOf(source.idOf(slot)),
    chunkHashes: source.hashesOf(slot),
    chunkStarts,
    chunkLengths,
    chunkFlags: new Uint32Array(chunkLengths.length),
    rawBytes: source.rawBytesOf(slot),
    serializedBytes: xorbs.serializedBytesOf(slot),
  };
}
