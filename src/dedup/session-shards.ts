import { encodeShard, planShards, type ShardXorb } from '../shard/index.js';
import type { FinishedFiles } from './finished-files.js';
import type { SessionXorbs } from './session-xorbs.js';
import type { XorbRegistry } from './xorb-registry.js';

/** What the shards of a session are made of. */
export interface SessionContents {
  readonly files: FinishedFiles;
  readonly xorbs: SessionXorbs;
  readonly registry: XorbRegistry;
  /** Slots of xorbs that a registered shard lists already. */
  readonly listed: ReadonlySet<number>;
}

/**
 * The upload bodies of a session, one at a time: all finished files with verification, and the
 * xorbs that the session made (others are registered already) and that no shard lists yet, each
 * beside the first file that names it. @throws TypeError while a xorb is open
 */
export function* sessionShards(
  contents: SessionContents,
  maxBytes: number,
): Generator<Uint8Array, undefined> {
  const { xorbs, files, registry, listed } = contents;
  if (xorbs.openSlot !== -1) {
    throw new TypeError('shards expected after closeOpenXorb(), a xorb is still open');
  }
  const { source } = xorbs;
  const slots: number[] = [];
  /** Numbers in `slots`, by number of the xorb. */
  const numbers = new Map<number, number>();
  for (let slot = 0; slot < source.spanCount; slot++) {
    if (listed.has(slot)) continue;
    numbers.set(source.idOf(slot), slots.length);
    slots.push(slot);
  }
  const parts = planShards(
    {
      fileCount: files.count,
      xorbCount: slots.length,
      fileBytes: (file) => files.recordBytes(file),
      chunkCount: (xorb) => {
        const slot = slots[xorb] as number;
        return source.endOf(slot) - source.startOf(slot);
      },
      *xorbsOf(file) {
        for (const xorb of files.xorbsOf(file)) {
          const number = numbers.get(xorb);
          if (number !== undefined) yield number;
        }
      },
    },
    maxBytes,
  );
  for (const part of parts) {
    yield encodeShard(
      {
        files: part.files.map((file) => files.shardFile(file, registry)),
        xorbs: part.xorbs.map((xorb) => shardXorb(slots[xorb] as number, xorbs, registry)),
        footer: null,
      },
      { variant: 'upload' },
    );
  }
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
