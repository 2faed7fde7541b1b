import { encodeShard, planShards, type ShardXorb } from '../shard/index.js';
import type { FinishedFiles } from './finished-files.js';
import { listedXorb } from './listed-xorb.js';
import type { ResumedXorbs } from './resumed-xorbs.js';
import type { SessionXorbs } from './session-xorbs.js';
import type { XorbRegistry } from './xorb-registry.js';

/** What the shards of a session are made of. */
export interface SessionContents {
  readonly files: FinishedFiles;
  readonly xorbs: SessionXorbs;
  /** Those of an interrupted run. */
  readonly resumed: ResumedXorbs;
  readonly registry: XorbRegistry;
  /** Slots of xorbs that a registered shard lists already. */
  readonly listed: ReadonlySet<number>;
}

/**
 * The upload bodies of a session, one at a time: all finished files with verification, and the
 * xorbs that the session made (others are registered already) and that no shard lists yet, each
 * beside the first file that names it; so are those resumed xorbs that a file names.
 * @throws TypeError while a xorb is open
 */
export function* sessionShards(
  contents: SessionContents,
  maxBytes: number,
): Generator<Uint8Array, undefined> {
  const { xorbs, resumed, files, registry, listed } = contents;
  if (xorbs.openSlot !== -1) {
    throw new TypeError('shards expected after closeOpenXorb(), a xorb is still open');
  }
  const { source } = xorbs;
  const slots: Slot[] = [];
  /** Numbers in `slots`, by number of the xorb. */
  const numbers = new Map<number, number>();
  for (let slot = 0; slot < source.spanCount; slot++) {
    if (listed.has(slot)) continue;
    numbers.set(source.idOf(slot), slots.length);
    slots.push({ slot, isResumed: false });
  }
  const wanted = files.wanted();
  const fileOf = (index: number): number => (wanted === null ? index : (wanted[index] as number));
  const named = namedXorbs(contents);
  for (let slot = 0; slot < resumed.source.spanCount; slot++) {
    const id = resumed.source.idOf(slot);
    if (!named.has(id) || numbers.has(id)) continue;
    numbers.set(id, slots.length);
    slots.push({ slot, isResumed: true });
  }
  const parts = planShards(
    {
      fileCount: wanted === null ? files.count : wanted.length,
      xorbCount: slots.length,
      fileBytes: (file) => files.recordBytes(fileOf(file)),
      chunkCount: (xorb) => {
        const { slot, isResumed } = slots[xorb] as Slot;
        const from = isResumed ? resumed.source : source;
        return from.endOf(slot) - from.startOf(slot);
      },
      *xorbsOf(file) {
        for (const xorb of files.xorbsOf(fileOf(file))) {
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
        files: part.files.map((file) => files.shardFile(fileOf(file), registry)),
        xorbs: part.xorbs.map((xorb) => shardXorb(slots[xorb] as Slot, contents)),
        footer: null,
      },
      { variant: 'upload' },
    );
  }
}

/** A span, of the session's own xorbs or of the resumed ones. */
interface Slot {
  readonly slot: number;
  readonly isResumed: boolean;
}

function shardXorb(
  { slot, isResumed }: Slot,
  { xorbs, resumed, registry }: SessionContents,
): ShardXorb {
  if (isResumed) return resumed.listed(slot);
  return listedXorb(xorbs.source, slot, registry, xorbs.serializedBytesOf(slot));
}

/** Numbers of all xorbs that files name; not looked for when nothing depends on it. */
function namedXorbs({ files, resumed }: SessionContents): ReadonlySet<number> {
  const named = new Set<number>();
  if (resumed.source.spanCount === 0) return named;
  for (let file = 0; file < files.count; file++) {
    for (const xorb of files.xorbsOf(file)) named.add(xorb);
  }
  return named;
}
