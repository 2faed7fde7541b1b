import type { Socket } from 'node:net';
import type { Body } from '../../http/index.js';
import { ChunkedDecoder } from './chunked.js';
import { headLength, MAX_HEAD_BYTES, parseHead, type ResponseHead } from './response-head.js';

/**
 * One plain connection whose bytes the system reads straight into the memory of whoever reads the
 * body. Node asks after each read where the next one goes, before anybody was told of this one. So
 * between two fills the next bytes go to a buffer of ours, `PROBE_BYTES` at most, and when they have
 * come somebody waits for them: they are copied, and the rest of that memory is where the next read
 * goes. A fill thus takes two reads, a tiny one and a large one:
 *
 *     read   ─► spill (512 bytes) ─► copied to the start of `into`
 *     read   ─► `into` itself, as much as there is
 *     settle
 *
 * When nobody waits, reading stops after the first of them. Heads and chunked bodies go through the
 * spill as a whole.
 */

/** Options that make a socket read into the memory that {@link SocketConnection} names. */
export interface OnReadOptions {
  readonly buffer: () => Uint8Array;
  readonly callback: (length: number) => boolean;
}

/** A fill that has not settled. */
interface Pending {
  readonly into: Uint8Array;
  filled: number;
  readonly resolve: (count: number) => void;
  readonly reject: (error: unknown) => void;
}

/** A request that waits for its head. */
interface Asked {
  readonly method: string;
  readonly resolve: (head: ResponseHead) => void;
  readonly reject: (error: unknown) => void;
}

const ENDED: Promise<number> = Promise.resolve(0);
const SPILL_BYTES = 64 * 1024;
/** Never named as a whole, so that there is always a byte left to name. */
const SLACK_BYTES = 1024;
const PROBE_BYTES = 512;
/** Informational responses before the one that counts; a server sends one or two. */
const MOST_INFORMATIONAL = 16;

export class SocketConnection {
  readonly #spill = new Uint8Array(SPILL_BYTES + SLACK_BYTES);
  readonly #probe = this.#spill.subarray(0, PROBE_BYTES);
  /** Bytes of the spill that nobody has taken: `[start, end)`. */
  #heldStart = 0;
  #heldEnd = 0;
  /** Where the next read goes: into the pending fill, or so many bytes of the spill. */
  #readsDirectly = false;
  #namedBytes = 0;
  #stopped = false;
  #asked: Asked | null = null;
  #pending: Pending | null = null;
  #head: ResponseHead | null = null;
  #informationalCount = 0;
  /** Bytes of the body still to come from the connection; of a body without a length: any number. */
  #leftBytes = 0;
  #decoder: ChunkedDecoder | null = null;
  /** Why nothing more comes; null: it may. */
  #broken: { readonly error: unknown } | null = null;
  #socket: Socket | null = null;
  readonly #onIdle: () => void;
  #onOver: () => void = () => {};

  /** For the socket that {@link attach} is called with. */
  readonly onread: OnReadOptions = {
    buffer: () => this.#nameBuffer(),
    callback: (length) => this.#take(length),
  };

  /** `onIdle` is called when a response has ended and another request may follow. */
  constructor(onIdle: () => void) {
    this.#onIdle = onIdle;
  }

  attach(socket: Socket): void {
    this.#socket = socket;
    const ended = (): void => this.#end(reset('the connection ended'));
    socket.on('error', (error) => this.#end(error));
    socket.on('timeout', ended);
    socket.on('end', () => this.#inputEnded());
    socket.on('close', ended);
  }

  get usable(): boolean {
    return this.#broken === null && this.#socket?.destroyed === false && this.#head === null;
  }

  /** No request is running: the process may end, and so may the connection after `idleMs`. */
  rest(idleMs: number): void {
    this.#socket?.setTimeout(idleMs);
    this.#socket?.unref();
  }

  /**
   * Sends a request without a body; resolves with the head of the response. `onOver` is called when
   * the response has ended or the connection has.
   */
  ask(method: string, text: string, onOver: () => void): Promise<ResponseHead> {
    return new Promise((resolve, reject) => {
      if (this.#broken !== null) {
        reject(this.#broken.error);
        return;
      }
      this.#asked = { method, resolve, reject };
      this.#onOver = onOver;
      this.#informationalCount = 0;
      this.#socket?.ref();
      this.#socket?.setTimeout(0);
      this.#socket?.write(text, 'latin1');
      this.#goOn();
    });
  }

  /** The body of the response whose head came last. */
  body(): Body | null {
    const head = this.#head;
    if (head === null) return null;
    const { framing } = head;
    return {
      sizeBytes: framing.kind === 'length' ? framing.sizeBytes : undefined,
      fill: (into) => {
        const isOver = this.#head !== head || into.length === 0;
        return isOver ? ENDED : this.#fill(into);
      },
      cancel: () => {
        if (this.#head === head) this.destroy();
      },
    };
  }

  /** No byte is written to anybody's memory after this. */
  destroy(reason?: unknown): void {
    this.#end(reason ?? reset('the response is not wanted'));
  }

  #fill(into: Uint8Array): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#pending = { into, filled: 0, resolve, reject };
      this.#serve(false);
      if (this.#pending === null) return;
      if (this.#broken !== null) this.#settle();
      else this.#goOn();
    });
  }

  /** Reads again, if that was stopped. */
  #goOn(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#socket?.resume();
  }

  /** `length` bytes were read to where {@link #nameBuffer} said. False: read no more for now. */
  #take(length: number): boolean {
    if (this.#broken !== null) return false;
    const pending = this.#pending;
    if (this.#readsDirectly && pending !== null) {
      pending.filled += length;
      this.#count(length);
      this.#settle();
    } else {
      this.#heldEnd += length;
      try {
        if (this.#head !== null) this.#serve(length === this.#namedBytes);
        else this.#takeHead();
      } catch (error) {
        this.#end(error);
      }
    }
    // Of a head that is not whole yet the rest is awaited, by nobody's fill.
    const isAwaited = this.#asked !== null || this.#pending !== null;
    this.#stopped = !isAwaited && this.#heldEnd > this.#heldStart;
    return !this.#stopped && this.#broken === null;
  }

  #takeHead(): void {
    const asked = this.#asked;
    // Nothing was asked for.
    if (asked === null) throw reset('bytes came that nobody asked for');
    const bytes = this.#spill.subarray(this.#heldStart, this.#heldEnd);
    const end = headLength(bytes);
    if (end < 0 && bytes.length <= MAX_HEAD_BYTES) return;
    const text = Buffer.from(bytes.subarray(0, Math.max(0, end))).toString('latin1');
    const head = end < 0 || end > MAX_HEAD_BYTES ? null : parseHead(text, asked.method);
    if (head === null || head.status === 101) throw notHttp();
    this.#heldStart += end;
    if (head.status < 200) {
      // 100, 102, 103: the response that counts comes after it, maybe in the same read.
      if (++this.#informationalCount > MOST_INFORMATIONAL) throw notHttp();
      if (this.#heldEnd > this.#heldStart) this.#takeHead();
      return;
    }
    this.#asked = null;
    this.#head = head;
    const { framing } = head;
    this.#decoder = framing.kind === 'chunked' ? new ChunkedDecoder() : null;
    this.#leftBytes = framing.kind === 'length' ? framing.sizeBytes : Number.POSITIVE_INFINITY;
    asked.resolve(head);
    if (framing.kind === 'none') this.#bodyEnded();
  }

  /**
   * Copies held bytes to where they are awaited. A fill that got a whole probe is not settled yet:
   * more is there, and goes where it belongs without a copy.
   */
  #serve(moreIsThere: boolean): void {
    const pending = this.#pending;
    if (pending === null) return;
    const goesOn = moreIsThere && this.#decoder === null && this.#head !== null;
    if (goesOn && this.#namedBytes === PROBE_BYTES && this.#takeProbe(pending)) return;
    const held = this.#spill.subarray(this.#heldStart, this.#heldEnd);
    const room = pending.into.subarray(pending.filled);
    if (this.#decoder !== null) {
      const { takenBytes, madeBytes } = this.#decoder.decode(held, room);
      this.#heldStart += takenBytes;
      pending.filled += madeBytes;
      if (this.#decoder.ended) this.#bodyEnded();
    } else if (held.length > 0) {
      const count = Math.min(held.length, room.length, this.#leftBytes);
      room.set(held.subarray(0, count));
      this.#heldStart += count;
      pending.filled += count;
      this.#count(count);
    }
    if (goesOn && this.#head !== null && pending.filled < pending.into.length) return;
    if (pending.filled > 0 || this.#head === null) this.#settle();
  }

  /** The usual case of {@link #serve} without a view made for it: they cost more than the bytes. */
  #takeProbe(pending: Pending): boolean {
    const fits =
      this.#heldStart === 0 &&
      this.#heldEnd === PROBE_BYTES &&
      pending.filled + PROBE_BYTES < pending.into.length &&
      PROBE_BYTES < this.#leftBytes;
    if (!fits) return false;
    pending.into.set(this.#probe, pending.filled);
    pending.filled += PROBE_BYTES;
    this.#heldStart = PROBE_BYTES;
    this.#leftBytes -= PROBE_BYTES;
    return true;
  }

  #count(length: number): void {
    this.#leftBytes -= length;
    if (this.#leftBytes === 0) this.#bodyEnded();
  }

  #bodyEnded(): void {
    const keeps = this.#head?.keepsAlive === true && this.#heldEnd === this.#heldStart;
    this.#head = null;
    this.#decoder = null;
    this.#over();
    if (!keeps) {
      this.#end(reset('the connection ended'));
      return;
    }
    // Reading goes on, so that the end of an idle connection is seen.
    this.#goOn();
    this.#onIdle();
  }

  /** The other side sends no more: the end of a body that has no other. */
  #inputEnded(): void {
    if (this.#head?.framing.kind === 'close') {
      this.#bodyEnded();
      this.#settle();
    } else this.#end(reset('the connection ended'));
  }

  #end(error: unknown): void {
    if (this.#broken === null) {
      this.#broken = { error };
      this.#socket?.destroy();
    }
    this.#over();
    this.#asked?.reject(error);
    this.#asked = null;
    this.#settle();
  }

  #over(): void {
    this.#onOver();
    this.#onOver = () => {};
  }

  /** Tells the fill what it got; what broke the connection is told by the next one. */
  #settle(): void {
    const pending = this.#pending;
    this.#pending = null;
    if (pending === null) return;
    if (pending.filled > 0 || this.#head === null) pending.resolve(pending.filled);
    else pending.reject(this.#broken?.error);
  }

  #nameBuffer(): Uint8Array {
    const pending = this.#pending;
    const direct = this.#head !== null && this.#decoder === null;
    const isEmpty = this.#heldStart === this.#heldEnd;
    this.#readsDirectly = pending !== null && direct && isEmpty && pending.filled > 0;
    if (this.#readsDirectly && pending !== null) {
      const end = Math.min(pending.into.length, pending.filled + this.#leftBytes);
      return pending.into.subarray(pending.filled, end);
    }
    if (isEmpty) {
      this.#heldStart = 0;
      this.#heldEnd = 0;
      this.#namedBytes = PROBE_BYTES;
      if (direct) return this.#probe;
    } else if (this.#heldEnd > SPILL_BYTES / 2) {
      this.#spill.copyWithin(0, this.#heldStart, this.#heldEnd);
      this.#heldEnd -= this.#heldStart;
      this.#heldStart = 0;
    }
    const end = direct ? this.#heldEnd + PROBE_BYTES : Math.max(SPILL_BYTES, this.#heldEnd + 1);
    const named = this.#spill.subarray(this.#heldEnd, end);
    this.#namedBytes = named.length;
    return named;
  }
}

function reset(message: string): Error {
  return Object.assign(new Error(message), { code: 'ECONNRESET' });
}

function notHttp(): Error {
  return Object.assign(new Error('the head of the response is not HTTP'), {
    code: 'HPE_INVALID_CONSTANT',
  });
}
