import PQueue from 'p-queue';
import type { ClosedXorb } from '../../dedup/index.js';
import type { CasClient } from '../ports.js';
import type { CancelScope } from './cancel.js';
import type { Piece } from './pieces.js';

/** What the sender reports to its session. */
export interface SenderEvents {
  /** The serialized size is known; called before the first byte is sent. */
  onPacked(xorb: ClosedXorb, bytes: number): void;
  onSent(bytes: number): void;
  /** A xorb was acknowledged, and its memory is free again. */
  onAcknowledged(xorb: ClosedXorb, bytes: number, inserted: boolean): void;
  /** After that: the xorb does not count as active any more. */
  onSettled(): void;
  /** Ends the session: chunks that others refer to already could not be stored. */
  onFatal(error: Error): void;
}

export interface SenderOptions {
  /** Null: nothing is sent. */
  readonly cas: CasClient | null;
  readonly concurrency: number;
  readonly scope: CancelScope;
  readonly events: SenderEvents;
}

/**
 * Collects the records of xorbs in the order of placement and sends each xorb when it is closed,
 * straight from the slabs that its records lie in.
 */
export class XorbSender {
  readonly #options: SenderOptions;
  readonly #queue: PQueue;
  /** Xorbs closed whose size is not known yet, and who waits for it. */
  #unpacked = 0;
  #whenPacked: (() => void)[] = [];
  /** Pieces of xorbs that still fill, by slot. */
  readonly #filling = new Map<number, Promise<Piece>[]>();

  constructor(options: SenderOptions) {
    this.#options = options;
    this.#queue = new PQueue({ concurrency: options.concurrency });
  }

  /** Xorbs closed but not acknowledged yet. */
  get activeCount(): number {
    return this.#queue.size + this.#queue.pending;
  }

  /** Appends records to a xorb. */
  add(slot: number, piece: Promise<Piece>): void {
    piece.catch((error: Error) => this.#options.events.onFatal(error));
    const pieces = this.#filling.get(slot);
    if (pieces === undefined) this.#filling.set(slot, [piece]);
    else pieces.push(piece);
  }

  /** Nothing more comes for this xorb: send it. */
  close(xorb: ClosedXorb): void {
    const pieces = this.#filling.get(xorb.slot) ?? [];
    this.#filling.delete(xorb.slot);
    this.#unpacked++;
    const sent = this.#queue.add(() => this.#send(xorb, pieces));
    const { events } = this.#options;
    sent.then(
      () => events.onSettled(),
      (error: Error) => events.onFatal(error),
    );
  }

  /** Resolves when the sizes of all closed xorbs are known; not, when one of them fails before. */
  packed(): Promise<void> {
    if (this.#unpacked === 0) return Promise.resolve();
    return new Promise((resolve) => this.#whenPacked.push(resolve));
  }

  /** Resolves when nothing is being sent any more. */
  idle(): Promise<void> {
    return this.#queue.onIdle();
  }

  /** After a cancellation: gives back the memory of xorbs that will never be closed. */
  drop(): void {
    for (const pieces of this.#filling.values()) void releaseAll(pieces);
    this.#filling.clear();
    // What still waits for its turn only has to find out that it is over.
    this.#queue.concurrency = Number.POSITIVE_INFINITY;
  }

  async #send(xorb: ClosedXorb, pending: readonly Promise<Piece>[]): Promise<void> {
    const { cas, scope, events } = this.#options;
    const child = scope.child();
    let sizeBytes = 0;
    let inserted = true;
    try {
      const pieces = merged(await Promise.all(pending));
      for (const piece of pieces) sizeBytes += piece.end - piece.start;
      scope.check();
      events.onPacked(xorb, sizeBytes);
      this.#unpacked--;
      if (this.#unpacked === 0) for (const resolve of this.#whenPacked.splice(0)) resolve();
      if (cas !== null) {
        const body = {
          sizeBytes,
          pieces: pieces.map(({ home, start, end }) => home.slab.bytes.subarray(start, end)),
        };
        const { signal } = child;
        const options = { signal, onSent: (bytes: number) => events.onSent(bytes) };
        inserted = (await cas.putXorb(xorb.hash, body, options)).inserted;
      }
    } finally {
      child.end();
      await releaseAll(pending);
    }
    scope.check();
    events.onAcknowledged(xorb, sizeBytes, inserted);
  }
}

/** Neighbours in one slab become one piece. */
function merged(pieces: readonly Piece[]): Piece[] {
  const out: Piece[] = [];
  for (const piece of pieces) {
    const last = out.at(-1);
    if (last !== undefined && last.home === piece.home && last.end === piece.start) {
      out[out.length - 1] = { home: last.home, start: last.start, end: piece.end };
    } else out.push(piece);
  }
  return out;
}

async function releaseAll(pieces: readonly Promise<Piece>[]): Promise<void> {
  for (const result of await Promise.allSettled(pieces)) {
    if (result.status === 'fulfilled') result.value.home.release();
  }
}
