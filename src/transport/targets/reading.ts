import type { Source, SourceReader } from '../../client/ports.js';
import type { DigestStream, Digests } from '../../digests/ports.js';
import { OrbweaverError } from '../../errors.js';
import type { Scope } from '../../flow/index.js';
import type { Body } from '../../http/index.js';

/**
 * One pass over a source that feeds digests and senders. What was digested once is not digested again
 * when a part is read a second time:
 *
 *     0 ──────────── fedBytes ─────────── sizeBytes
 *        digested        │ digested when it is read next
 */

/** Bytes that are read at a time where no part is held in memory. */
const PIECE_BYTES: number = 1024 * 1024;
/** Pieces: one is read, one digested, one sent. */
const PIECE_COUNT = 3;

/** A source that is read for digests and for parts, one reader at a time. */
export interface Reading {
  /**
   * Fills `into` with the bytes from `start` on; it must stay as it is until `digested` has settled.
   * @throws OrbweaverError `INPUT_*`
   */
  readPart(start: number, into: Uint8Array): Promise<{ readonly digested: Promise<void> }>;
  /** Bytes `[start, end)` as a body that is read while it is sent. */
  streamPart(start: number, end: number): Promise<Body>;
  /** Reads what was not digested yet, and resolves with all digests. To be called once. */
  finish(): Promise<Digests>;
  close(): Promise<void>;
}

export interface ReadingOptions {
  readonly source: Source;
  readonly sizeBytes: number;
  readonly scope: Scope;
  /** Null: nothing is digested. */
  readonly digests: DigestStream | null;
  /** Told how far the reader is. @default nobody is */
  readonly onRead?: ((position: number) => void) | undefined;
}

export function createReading(options: ReadingOptions): Reading {
  const { source, sizeBytes, scope, digests, onRead } = options;
  let reader: SourceReader | null = null;
  let position = 0;
  let opened = false;
  let forget = (): void => {};
  let fedBytes = 0;
  const pieces = new Pieces();
  /** The first failure of a digest. */
  let failure: unknown = null;

  const open = async (): Promise<void> => {
    if (opened && !source.reopenable) {
      throw new OrbweaverError(
        'UNSUPPORTED',
        `"${source.name}" expected a source that can be read again, got a stream: it cannot be sent a second time`,
      );
    }
    await closeReader();
    // A signal of its own: one scope serves many readers.
    const controller = new AbortController();
    forget = scope.onEnd(() => controller.abort(scope.reason));
    opened = true;
    position = 0;
    reader = await source.open(controller.signal);
  };
  const closeReader = async (): Promise<void> => {
    const old = reader;
    reader = null;
    forget();
    await old?.close();
  };

  /** Reads the next bytes into `into` and lets them be digested; 0 at the end. */
  const read = async (into: Uint8Array): Promise<{ count: number; digested: Promise<void> }> => {
    scope.check();
    if (failure !== null) throw failure;
    const count = await (reader as SourceReader).read(into);
    const at = position;
    position += count;
    if (position > sizeBytes) throw changed(position);
    if (count === 0 && position < sizeBytes) throw changed(position);
    onRead?.(position);
    if (digests === null || position <= fedBytes) return { count, digested: DONE };
    const fresh = into.subarray(Math.max(0, fedBytes - at), count);
    fedBytes = position;
    const digested = digests.update(fresh).catch((error: unknown) => {
      failure ??= error;
    });
    return { count, digested };
  };

  const superseded = (): OrbweaverError =>
    new OrbweaverError('ABORTED', `"${source.name}" is read for another request`);
  const changed = (got: number): OrbweaverError =>
    new OrbweaverError(
      'INPUT_CHANGED',
      `"${source.name}" expected ${sizeBytes} bytes, got ${got > sizeBytes ? 'more' : got}`,
      { path: source.name, expected: sizeBytes },
    );

  /** Reads on to `start`, digesting what is passed. */
  const goTo = async (start: number): Promise<void> => {
    if (reader === null || position > start) await open();
    while (position < start) {
      const piece = await pieces.take();
      const { digested } = await read(piece.subarray(0, Math.min(piece.length, start - position)));
      pieces.giveBack(piece, digested);
    }
  };

  /** Counts users of the reader: a body of a request that was given up must not read on. */
  let user = 0;

  /** One reader: calls wait for each other. */
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const done = turn.then(work);
    turn = done.catch(() => undefined);
    return done;
  };

  return {
    readPart: (start, into) =>
      inTurn(async () => {
        user++;
        await goTo(start);
        const digesting: Promise<void>[] = [];
        for (let filled = 0; filled < into.length; ) {
          const { count, digested } = await read(into.subarray(filled));
          digesting.push(digested);
          filled += count;
        }
        return { digested: Promise.all(digesting).then(() => undefined) };
      }),
    async streamPart(start, end) {
      const own = ++user;
      await inTurn(() => goTo(start));
      let piece: Uint8Array | null = null;
      let from = 0;
      let to = 0;
      let digested: Promise<void> = DONE;
      let left = end - start;
      let over = false;
      const giveBack = (): void => {
        if (piece !== null) pieces.giveBack(piece, digested);
        piece = null;
      };
      return {
        sizeBytes: end - start,
        fill: (into) =>
          inTurn(async () => {
            if (own !== user) throw superseded();
            if (over || left === 0) return 0;
            if (digests === null) {
              const { count } = await read(into.subarray(0, Math.min(into.length, left)));
              left -= count;
              return count;
            }
            if (piece === null) {
              piece = await pieces.take();
              const got = await read(piece.subarray(0, Math.min(piece.length, left)));
              digested = got.digested;
              from = 0;
              to = got.count;
            }
            const count = Math.min(into.length, to - from);
            into.set(piece.subarray(from, from + count));
            from += count;
            left -= count;
            if (from === to) giveBack();
            return count;
          }),
        cancel() {
          over = true;
          void inTurn(async () => giveBack());
        },
      };
    },
    finish: () =>
      inTurn(async () => {
        user++;
        if (digests === null) return {};
        if (fedBytes < sizeBytes) {
          await goTo(Math.min(position, fedBytes));
          await goTo(sizeBytes);
        }
        // A source that was never opened (nothing to send) may still have grown.
        if (sizeBytes === 0 && reader === null) await open();
        if (reader !== null && position === sizeBytes) await read(await pieces.take());
        const made = await digests.finish();
        if (failure !== null) throw failure;
        return made;
      }),
    async close() {
      digests?.dispose();
      await turn;
      await closeReader();
    },
  };
}

const DONE: Promise<void> = Promise.resolve();

/** A few buffers in shared memory, so that digest threads see them without a copy. */
class Pieces {
  readonly #free: Uint8Array[] = [];
  #busy: Promise<void>[] = [];
  #count = 0;

  async take(): Promise<Uint8Array> {
    for (;;) {
      const free = this.#free.pop();
      if (free !== undefined) return free;
      if (this.#count < PIECE_COUNT) {
        this.#count++;
        return new Uint8Array(new SharedArrayBuffer(PIECE_BYTES));
      }
      const [oldest] = this.#busy;
      if (oldest === undefined) throw new OrbweaverError('INTERNAL', 'no piece is free or in use');
      await oldest;
    }
  }

  /** It is free when it has been digested. */
  giveBack(piece: Uint8Array, digested: Promise<void>): void {
    const freed: Promise<void> = digested.then(() => {
      this.#busy = this.#busy.filter((other) => other !== freed);
      this.#free.push(piece);
    });
    this.#busy.push(freed);
  }
}
