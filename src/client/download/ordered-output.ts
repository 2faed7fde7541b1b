import { OrbweaverError } from '../../errors.js';
import type { Scope } from '../../flow/index.js';
import { OrderedAssembler } from '../../plan/index.js';
import type { ComputePool } from '../ports.js';
import type { Delivery, Output, OutputOptions } from './output.js';

/**
 * The sink gets copies of at most this size, one at a time: a reader that does not read holds one of
 * them and no slab. (A stream keeps what it was given after its callback, so it needs a copy anyway.)
 */
const COPY_BYTES: number = 1 << 18;

/** A sink that takes longer than this for one piece gives its memory back if others wait for some. */
export const STALLED_MS = 200;

/** A sink that takes longer than this for one piece gives memory and connections back in any case. */
export const PAUSED_MS = 2000;

/** What an {@link OrderedOutput} is made with. */
export interface OrderedOutputOptions extends OutputOptions {
  readonly pool: ComputePool;
  readonly scope: Scope;
  readonly outputBytes: number;
  /** Called with the offset of the next byte that is missing. */
  readonly onAdvance: (nextOffset: number) => void;
  /** Counts bytes that are copied aside for later, all together. False: there is no memory for them. */
  readonly hold: (bytes: number) => boolean;
  /** The sink does not take bytes now, or there is no memory for what is early: whatever the block holds should be given back. */
  readonly onPaused: () => void;
}

interface Piece {
  readonly outputOffset: number;
  bytes: Uint8Array;
  /** Ends the loan of its pair; null for a copy. */
  giveBack: (() => void) | null;
  /** Its pair must not wait for other bytes. */
  readonly isImpatient: boolean;
}

/**
 * For sinks that only take bytes in order. Pieces of the output may come in any order; each is
 * written when all before it are. When the scope ends, everything that is not written is dropped.
 */
export class OrderedOutput implements Output {
  readonly #options: OrderedOutputOptions;
  readonly #assembler: OrderedAssembler<Piece>;
  /** All pieces that are not written, in order or not. */
  readonly #pieces = new Set<Piece>();
  readonly #ready: Piece[] = [];
  /** Bytes of the first ready piece that are written. */
  #writtenOfFirst = 0;
  #isPumping = false;
  #givenBytes = 0;
  #failure: { readonly error: unknown } | null = null;

  constructor(options: OrderedOutputOptions) {
    this.#options = options;
    this.#assembler = new OrderedAssembler({ start: 0, end: options.outputBytes });
    options.scope.onEnd(() => this.#dropAll());
  }

  /** Bytes of the output, from its start, that the sink was given. */
  get givenBytes(): number {
    return this.#givenBytes;
  }

  /** The sink's error, also one that came when the scope had ended. */
  check(): void {
    if (this.#failure !== null) throw this.#failure.error;
  }

  async deliver({ pair, slices }: Delivery): Promise<void> {
    const { scope, onAdvance } = this.#options;
    const isImpatient = pair.value.isReserved;
    try {
      scope.check();
      for (const { outputOffset, bytes } of slices) {
        const piece: Piece = { outputOffset, bytes, giveBack: pair.borrow(), isImpatient };
        this.#pieces.add(piece);
        this.#ready.push(...this.#assembler.push(piece));
      }
    } catch (error) {
      throw error instanceof RangeError ? misplaced(error) : error;
    } finally {
      pair.release();
    }
    onAdvance(this.#assembler.nextOffset);
    // Work of the scope's own, so that whoever decodes does not wait for the sink.
    if (!this.#isPumping) void scope.spawn(this.#pump());
  }

  async #pump(): Promise<void> {
    const { sink, scope, baseOffset, onWritten } = this.#options;
    const write = (sink.writeOwned ?? sink.write).bind(sink);
    this.#isPumping = true;
    try {
      for (let first = this.#ready[0]; first !== undefined; first = this.#ready[0]) {
        const at = baseOffset + first.outputOffset + this.#writtenOfFirst;
        const copy = this.#copyReady();
        this.#givenBytes += copy.length;
        const noLongerWaiting = this.#watch();
        try {
          await write(copy, at);
        } finally {
          noLongerWaiting();
        }
        onWritten(copy.length);
        if (scope.ended) return;
      }
      this.#copyAside();
    } catch (error) {
      this.#failure = { error };
      throw error;
    } finally {
      this.#isPumping = false;
    }
  }

  /** A copy of the next bytes, of one piece or of several that follow one another; those are let go. */
  #copyReady(): Uint8Array {
    let length = -this.#writtenOfFirst;
    for (const { bytes } of this.#ready) {
      length += bytes.length;
      if (length >= COPY_BYTES) break;
    }
    const copy = new Uint8Array(Math.min(length, COPY_BYTES));
    for (let filled = 0; filled < copy.length; ) {
      const piece = this.#ready[0] as Piece;
      const start = this.#writtenOfFirst;
      const part = piece.bytes.subarray(start, start + copy.length - filled);
      this.#options.pool.copyOut(part, copy.subarray(filled));
      filled += part.length;
      this.#writtenOfFirst = start + part.length;
      if (this.#writtenOfFirst < piece.bytes.length) break;
      this.#ready.shift();
      this.#writtenOfFirst = 0;
      this.#letGo(piece);
    }
    return copy;
  }

  /** Tells when the sink takes too long; the returned function ends that. */
  #watch(): () => void {
    const { scope, pool, onPaused } = this.#options;
    let stopTimer = (): void => {};
    let forget = (): void => {};
    stopTimer = scope.after(STALLED_MS, () => {
      if (pool.waiting > 0) {
        onPaused();
        return;
      }
      forget = pool.onStarved(onPaused);
      stopTimer = scope.after(PAUSED_MS - STALLED_MS, onPaused);
    });
    return () => {
      stopTimer();
      forget();
    };
  }

  /** Nothing more can be written now: early pieces leave the pair that must not wait. */
  #copyAside(): void {
    // A chunk that is used many times (runs of zeros) is copied once: all of these lie in one pair.
    const copies: { readonly from: Uint8Array; readonly copy: Uint8Array }[] = [];
    const older = new Set<Uint8Array>();
    for (const piece of this.#pieces) if (piece.giveBack === null) older.add(piece.bytes);
    let heldBytes = 0;
    for (const copy of older) heldBytes += copy.length;
    if (heldBytes > 0) this.#options.hold(heldBytes);
    for (const piece of this.#pieces) {
      if (!piece.isImpatient || piece.giveBack === null) continue;
      const { buffer, byteOffset, length } = piece.bytes;
      let known = copies.find(
        ({ from }) =>
          from.byteOffset === byteOffset && from.length === length && from.buffer === buffer,
      );
      if (known === undefined) {
        heldBytes += length;
        if (!this.#options.hold(heldBytes)) {
          this.#options.onPaused();
          return;
        }
        known = { from: piece.bytes, copy: piece.bytes.slice() };
        copies.push(known);
      }
      piece.bytes = known.copy;
      piece.giveBack();
      piece.giveBack = null;
    }
  }

  #letGo(piece: Piece): void {
    this.#pieces.delete(piece);
    piece.giveBack?.();
    piece.giveBack = null;
  }

  #dropAll(): void {
    this.#ready.length = 0;
    this.#writtenOfFirst = 0;
    for (const piece of [...this.#pieces]) this.#letGo(piece);
  }
}

/** Two uses that claim the same bytes: the plan was made from terms that do not add up. */
function misplaced(cause: RangeError): OrbweaverError {
  const text = `terms do not add up: ${cause.message}`;
  return new OrbweaverError('SIZE_MISMATCH', text, {}, cause);
}
