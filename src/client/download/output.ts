import type { Owned } from '../../flow/index.js';
import type { Sink } from '../ports.js';
import type { SlabPair } from './pairs.js';
import type { Hole, OutputSlice } from './slices.js';

/** Decoded bytes of a pair, and zeros, on their way into the sink. */
export interface Delivery {
  readonly pair: Owned<SlabPair>;
  readonly slices: readonly OutputSlice[];
  readonly holes: readonly Hole[];
}

/** Brings the bytes of one block into the sink. */
export interface Output {
  /**
   * Takes the pair, which goes back when its bytes are not needed any more: written, copied, or
   * dropped because the scope has ended. @throws what the sink throws
   */
  deliver(delivery: Delivery): Promise<void>;
}

/** What an {@link Output} is made with. */
export interface OutputOptions {
  readonly sink: Sink;
  /** Offset in the sink of output byte 0 of the block. */
  readonly baseOffset: number;
  readonly onWritten: (bytes: number) => void;
}

/** Writes of one delivery under way at a time: enough for a disk, few enough for a chunk used often. */
const WRITES_PER_DELIVERY = 4;

/** For sinks that can be written anywhere. Slices that follow each other are written in one call. */
export function positionalOutput({ sink, baseOffset, onWritten }: OutputOptions): Output {
  const writeRow = async ({ outputOffset, pieces, sizeBytes }: Row): Promise<void> => {
    const offset = baseOffset + outputOffset;
    const [only] = pieces as [Uint8Array];
    if (pieces.length === 1) await sink.write(only, offset);
    else if (sink.writeAll !== undefined) await sink.writeAll(pieces, offset);
    else {
      let at = offset;
      for (const piece of pieces) {
        await sink.write(piece, at);
        at += piece.length;
      }
    }
    onWritten(sizeBytes);
  };
  return {
    async deliver({ pair, slices, holes }) {
      try {
        for (const { outputOffset, lengthBytes } of holes) {
          sink.skip?.(baseOffset + outputOffset, lengthBytes);
          onWritten(lengthBytes);
        }
        const rows = rowsOf(slices);
        let next = 0;
        const lane = async (): Promise<void> => {
          for (let row = rows[next++]; row !== undefined; row = rows[next++]) await writeRow(row);
        };
        const lanes = Array.from({ length: Math.min(WRITES_PER_DELIVERY, rows.length) }, lane);
        // All lanes have to come to rest before the slab is somebody else's, also when one fails.
        for (const lane of await Promise.allSettled(lanes)) {
          if (lane.status === 'rejected') throw lane.reason;
        }
      } finally {
        pair.release();
      }
    },
  };
}

/** Slices that follow each other in the output. */
interface Row {
  readonly outputOffset: number;
  readonly pieces: Uint8Array[];
  sizeBytes: number;
}

function rowsOf(slices: readonly OutputSlice[]): Row[] {
  const rows: Row[] = [];
  for (const { outputOffset, bytes } of slices) {
    const last = rows.at(-1);
    if (last !== undefined && last.outputOffset + last.sizeBytes === outputOffset) {
      last.pieces.push(bytes);
      last.sizeBytes += bytes.length;
    } else rows.push({ outputOffset, pieces: [bytes], sizeBytes: bytes.length });
  }
  return rows;
}
