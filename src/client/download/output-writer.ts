import { isOrbweaverError, OrbweaverError } from '../../errors.js';
import { OrderedAssembler } from '../../plan/index.js';
import type { FileRows, Sink } from '../ports.js';
import { type Landing, type OutputSlice, packRows } from './landings.js';

/** Takes decoded slices and brings them into the sink. */
export interface OutputWriter {
  /**
   * Resolves when the sink (or a copy) has the bytes, so that their slab may be reused.
   * `mayWait` false: what is too early is copied aside instead of waiting for its turn.
   */
  write(slices: readonly OutputSlice[], mayWait: boolean): Promise<void>;
  /**
   * For the thread that decodes to write itself, where the sink lends its file and lets it. Undefined:
   * `write` is the way.
   */
  lend?(landings: readonly Landing[]): LentRows | undefined;
  /** Resolves when everything that is in order, copies included, is in the sink. */
  drain(): Promise<void>;
  /** Ends all waiting with this error. */
  close(error: unknown): void;
}

/** Rows that a thread is going to write. One of the two methods has to be called. */
export interface LentRows {
  readonly rows: FileRows;
  written(writeMs: number): void;
  /** Nothing more is written. @returns the sink's error, if it was writing that failed */
  failed(error: unknown): unknown;
}

interface WriterOptions {
  readonly sink: Sink;
  /** Offset in the sink of output byte 0. */
  readonly baseOffset: number;
  readonly onWritten: (bytes: number) => void;
}

/** Writes of one batch under way at a time: enough for a disk, few enough for a chunk used often. */
const WRITES_PER_BATCH = 4;

/** For sinks that can be written anywhere. Slices that follow each other are written in one call. */
export function createPositionalWriter(options: WriterOptions): OutputWriter {
  const { sink, baseOffset, onWritten } = options;
  let failure: { error: unknown } | undefined;
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
    async write(slices) {
      const rows = rowsOf(slices);
      let next = 0;
      const lane = async (): Promise<void> => {
        for (;;) {
          const row = rows[next++];
          if (row === undefined) return;
          if (failure !== undefined) throw failure.error;
          await writeRow(row);
        }
      };
      const lanes = Array.from({ length: Math.min(WRITES_PER_BATCH, rows.length) }, lane);
      // All lanes have to come to rest before the slab is reused, also when one fails.
      for (const lane of await Promise.allSettled(lanes)) {
        if (lane.status === 'rejected') throw lane.reason;
      }
    },
    lend(landings) {
      const loan = failure === undefined ? sink.lend?.() : null;
      if (loan === null || loan === undefined) return undefined;
      return {
        rows: packRows(landings, { fd: loan.fd, baseOffset }),
        written(writeMs) {
          const bytes = landings.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
          loan.end(bytes, writeMs);
          onWritten(bytes);
        },
        failed(error) {
          loan.end(0, 0);
          const errno = isOrbweaverError(error) ? error.fields.errno : undefined;
          return typeof errno === 'string' ? loan.failure(errno, error) : error;
        },
      };
    },
    async drain() {},
    close(error) {
      failure = { error };
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

/** Slices of one call of `write` that still refer to its slab. */
interface Batch {
  left: number;
  readonly settle: () => void;
  readonly fail: (error: unknown) => void;
}

interface Piece {
  readonly outputOffset: number;
  bytes: Uint8Array;
  /** Undefined when the bytes are a copy. */
  batch: Batch | undefined;
}

/**
 * For sinks that only take bytes in order. Pieces of the output `[0, outputBytes)` may come in any
 * order; each is written when all before it are.
 */
export function createOrderedWriter(
  options: WriterOptions & {
    readonly outputBytes: number;
    /** Called with the offset of the next byte that is missing. */
    readonly onAdvance: (nextOffset: number) => void;
    /** The sink failed, maybe over bytes whose batch is done. */
    readonly onFailure: (error: unknown) => void;
  },
): OutputWriter {
  const { sink, baseOffset, onWritten, onAdvance, onFailure } = options;
  const assembler = new OrderedAssembler<Piece>({ start: 0, end: options.outputBytes });
  const ready: Piece[] = [];
  /** Pieces whose slab must not wait for their turn. */
  const impatient = new Set<Piece>();
  const batches = new Set<Batch>();
  /** True while a pump runs; it may begin and end within one call. */
  let pumping = false;
  let lastPump: Promise<void> = Promise.resolve();
  /** The batch whose slab the sink is reading now. */
  let inSink: Batch | undefined;
  let failure: { error: unknown } | undefined;

  const letGo = (piece: Piece): void => {
    const batch = piece.batch;
    piece.batch = undefined;
    impatient.delete(piece);
    if (batch === undefined || --batch.left > 0) return;
    batches.delete(batch);
    batch.settle();
  };
  /** Nothing more can be written now: early pieces leave the slabs that must not wait. */
  const copyAside = (): void => {
    // Only one batch at a time has the slab that must not wait, so a place in it is a key: a chunk
    // that is used many times (runs of zeros) is copied once.
    const copies = new Map<string, Uint8Array>();
    for (const piece of [...impatient]) {
      const key = `${piece.bytes.byteOffset} ${piece.bytes.length}`;
      const copy = copies.get(key) ?? piece.bytes.slice();
      copies.set(key, copy);
      piece.bytes = copy;
      letGo(piece);
    }
  };
  const fail = (error: unknown): void => {
    failure ??= { error };
    for (const batch of batches) {
      // The slab that the sink reads is not given back under its hands.
      if (batch !== inSink) batch.fail(failure.error);
    }
    batches.clear();
    impatient.clear();
    ready.length = 0;
  };
  const pump = async (): Promise<void> => {
    pumping = true;
    try {
      for (let piece = ready.shift(); piece !== undefined; piece = ready.shift()) {
        const { bytes, outputOffset } = piece;
        inSink = piece.batch;
        await sink.write(bytes, baseOffset + outputOffset);
        if (failure !== undefined) break;
        inSink = undefined;
        onWritten(bytes.length);
        letGo(piece);
      }
      copyAside();
    } catch (error) {
      fail(error);
      onFailure(error);
    } finally {
      pumping = false;
      if (failure !== undefined) inSink?.fail(failure.error);
    }
  };

  return {
    write(slices, mayWait) {
      return new Promise<void>((resolve, reject) => {
        if (failure !== undefined) {
          reject(failure.error);
          return;
        }
        if (slices.length === 0) {
          resolve();
          return;
        }
        const batch: Batch = { left: slices.length, settle: resolve, fail: reject };
        batches.add(batch);
        try {
          for (const slice of slices) {
            const piece: Piece = { ...slice, batch };
            if (!mayWait) impatient.add(piece);
            ready.push(...assembler.push(piece));
          }
        } catch (error) {
          fail(misplaced(error));
          return;
        }
        onAdvance(assembler.nextOffset);
        if (!pumping) lastPump = pump();
      });
    },
    async drain() {
      while (pumping && failure === undefined) await lastPump;
      if (failure !== undefined) throw failure.error;
    },
    close: fail,
  };
}

/** Two uses that claim the same bytes: the plan was made from an answer that does not add up. */
function misplaced(cause: unknown): OrbweaverError {
  const text = cause instanceof Error ? cause.message : String(cause);
  return new OrbweaverError('SIZE_MISMATCH', `terms do not add up: ${text}`, {}, cause);
}
