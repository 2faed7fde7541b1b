import PQueue from 'p-queue';
import type { ClosedXorb } from '../../dedup/index.js';
import type { Goodput, Scope } from '../../flow/index.js';
import type { SendTurn, UploadJournal, XorbConsumer } from '../ports.js';
import type { Piece } from './packing.js';

/** What the sender reports to its session. */
export interface SenderEvents {
  /** The serialized size is known; called before the first byte is sent. */
  onPacked(xorb: ClosedXorb, bytes: number): void;
  onSent(xorb: ClosedXorb, bytes: number): void;
  /** A xorb was acknowledged. */
  onAcknowledged(xorb: ClosedXorb, inserted: boolean): void;
  /** After that: the xorb does not count as active any more. */
  onSettled(): void;
  /** Ends the session: chunks that others refer to already could not be stored. */
  onFatal(error: unknown): void;
}

export interface SenderOptions {
  /** Null: nothing is sent. */
  readonly consumer: XorbConsumer | null;
  readonly journal: UploadJournal;
  /** Xorbs sent at a time. */
  readonly concurrency: number;
  /** Changes that number for consumers that take turns. */
  readonly goodput: Goodput | null;
  readonly scope: Scope;
  readonly events: SenderEvents;
}

/**
 * Xorbs with a consumer that takes turns, for each one that may be sent: so many ask for permission, wait
 * for their turn or are being committed beside it.
 */
const OPEN_PER_TURN = 4;

/**
 * Collects the records of xorbs in the order of placement and sends each xorb when it is closed,
 * straight from the slabs that its records lie in.
 */
export class XorbSender {
  readonly #options: SenderOptions;
  /** Xorbs that the consumer has; each is a turn as well, unless it takes turns itself. */
  readonly #queue: PQueue;
  readonly #turns: PQueue;
  readonly #goodput: Goodput | null = null;
  /** Xorbs closed whose size is not known yet, and who waits for it. */
  #unpacked = 0;
  #whenPacked: (() => void)[] = [];
  /** Pieces of xorbs that still fill, by slot. */
  readonly #filling = new Map<number, Promise<Piece>[]>();

  constructor(options: SenderOptions) {
    this.#options = options;
    const { concurrency, consumer } = options;
    const open = consumer?.takesTurns === true ? OPEN_PER_TURN * concurrency : concurrency;
    this.#queue = new PQueue({ concurrency: open });
    this.#turns = new PQueue({ concurrency });
    if (consumer?.takesTurns === true) this.#goodput = options.goodput;
    this.#goodput?.onMore(() => this.#adapt());
    options.scope.onEnd(() => this.#drop());
  }

  /** Xorbs closed but not acknowledged yet. */
  get activeCount(): number {
    return this.#queue.size + this.#queue.pending;
  }

  /** Appends records to a xorb. */
  add(slot: number, piece: Promise<Piece>): void {
    piece.catch((error: unknown) => this.#options.events.onFatal(error));
    const pieces = this.#filling.get(slot);
    if (pieces === undefined) this.#filling.set(slot, [piece]);
    else pieces.push(piece);
    // Nobody is going to close it any more.
    if (this.#options.scope.ended) this.#drop();
  }

  /** Nothing more comes for this xorb: send it. */
  close(xorb: ClosedXorb): void {
    const pieces = this.#filling.get(xorb.slot) ?? [];
    this.#filling.delete(xorb.slot);
    this.#unpacked++;
    const { events } = this.#options;
    this.#queue
      .add(() => this.#send(xorb, pieces))
      .then(
        () => events.onSettled(),
        (error: unknown) => events.onFatal(error),
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

  /** Waits in the order of asking. A turn that is not given back would be one less for good. */
  readonly #turn: SendTurn = () =>
    new Promise((resolve) => {
      void this.#turns.add(async () => {
        this.#goodput?.begun();
        await new Promise<void>((over) => resolve(() => over()));
        this.#goodput?.ended();
      });
    });

  /** As many turns as move the most bytes. */
  #adapt(): void {
    const { limit } = this.#goodput as Goodput;
    if (this.#turns.concurrency === limit) return;
    this.#turns.concurrency = limit;
    this.#queue.concurrency = OPEN_PER_TURN * limit;
  }

  #moved(xorb: ClosedXorb, bytes: number): void {
    this.#options.events.onSent(xorb, bytes);
    if (this.#goodput === null) return;
    this.#goodput.moved(bytes);
    this.#adapt();
  }

  /** After a cancellation: gives back the memory of xorbs that will never be closed. */
  #drop(): void {
    for (const pieces of this.#filling.values()) void endAll(pieces);
    this.#filling.clear();
  }

  async #send(xorb: ClosedXorb, pending: readonly Promise<Piece>[]): Promise<void> {
    const { consumer, scope, events, journal } = this.#options;
    // The memory is the consumer's until its promise has settled, also after a cancellation.
    let taking: Promise<{ readonly inserted: boolean }> | null = null;
    try {
      const pieces = await scope.race(Promise.all(pending));
      let sizeBytes = 0;
      for (const { bytes } of pieces) sizeBytes += bytes.length;
      events.onPacked(xorb, sizeBytes);
      this.#unpacked--;
      if (this.#unpacked === 0) for (const resolve of this.#whenPacked.splice(0)) resolve();
      let inserted = true;
      if (consumer !== null) {
        const { hash, rawBytes, chunkHashes, chunkLengths } = xorb;
        const body = { sizeBytes, pieces: merged(pieces) };
        const onSent = (bytes: number): void => this.#moved(xorb, bytes);
        const packed = { hash, body, chunkCount: chunkLengths.length, rawBytes };
        ({ inserted } = await scope.call((signal) => {
          taking = consumer.take(packed, { signal, onSent, turn: this.#turn });
          return taking;
        }));
        const chunks = { hashes: chunkHashes, lengths: chunkLengths };
        await journal.onAcknowledged?.(hash, sizeBytes, chunks);
      }
      scope.check();
      events.onAcknowledged(xorb, inserted);
    } finally {
      const taken: Promise<unknown> = taking ?? Promise.resolve();
      const ended = taken.then(
        () => endAll(pending),
        () => endAll(pending),
      );
      // Memory that somebody waits for is free before the xorb counts as sent.
      if (!scope.ended) await ended;
    }
  }
}

/** Neighbours in memory become one piece. */
function merged(pieces: readonly Piece[]): Uint8Array[] {
  const out: Uint8Array[] = [];
  for (const { bytes } of pieces) {
    const last = out.at(-1);
    const joins =
      last !== undefined &&
      last.buffer === bytes.buffer &&
      last.byteOffset + last.length === bytes.byteOffset;
    if (joins) {
      out[out.length - 1] = new Uint8Array(
        last.buffer,
        last.byteOffset,
        last.length + bytes.length,
      );
    } else out.push(bytes);
  }
  return out;
}

async function endAll(pieces: readonly Promise<Piece>[]): Promise<void> {
  for (const result of await Promise.allSettled(pieces)) {
    if (result.status === 'fulfilled') result.value.end();
  }
}
