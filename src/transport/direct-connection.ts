import type { Socket } from 'node:net';
import type { ByteRange, RangeReceiver } from '../client/ports.js';
import {
  type AnswerHead,
  headLength,
  isPlainRange,
  keepsAlive,
  MAX_HEAD_BYTES,
  parseHead,
} from './answer-head.js';
import type { Watchdog } from './watchdog.js';

/**
 * One connection whose bytes are read by the system straight into the receiver's memory. Only the
 * head of an answer, and what comes while the receiver has no room, goes through a buffer of the
 * connection's own.
 */

/** How a request for a range ended. */
export interface DirectOutcome {
  /** Bytes that the receiver was given. */
  readonly receivedBytes: number;
  /** Null when the connection broke before an answer was there. */
  readonly head: AnswerHead | null;
  /** True when the connection can be used again. */
  readonly reusable: boolean;
}

/** What a running request needs. */
export interface DirectRequest {
  /** Request line and headers, with the empty line. */
  readonly text: string;
  readonly range: ByteRange;
  readonly receiver: RangeReceiver;
  readonly watchdog: Watchdog;
}

/** Options that make a socket read into the memory that {@link DirectConnection} names. */
export interface OnReadOptions {
  readonly buffer: () => Uint8Array;
  readonly callback: (length: number) => boolean;
}

/** Holds the head of an answer with what comes along, and bytes that find no room. */
const SPILL_BYTES = 64 * 1024;

interface Running {
  readonly request: DirectRequest;
  readonly settle: (outcome: DirectOutcome) => void;
  readonly fail: (error: unknown) => void;
  head: AnswerHead | null;
  receivedBytes: number;
}

export class DirectConnection {
  readonly #spill = new Uint8Array(SPILL_BYTES);
  /** Bytes of an unfinished head at the start of the spill. */
  #headBytes = 0;
  /** What of the spill waits for room. */
  #waiting: Uint8Array | null = null;
  /** The receiver's memory that is to be read into next; null: the spill. */
  #room: Uint8Array | null = null;
  /** The last buffer that was named to the system was the receiver's. */
  #readsIntoRoom = false;
  #running: Running | null = null;
  #socket: Socket | null = null;

  /** For the socket that {@link attach} is called with. */
  readonly onread: OnReadOptions = {
    buffer: () => this.#nextBuffer(),
    callback: (length) => this.#take(length),
  };

  attach(socket: Socket): void {
    this.#socket = socket;
    // A connection that ends is no use to anybody, whether or not a request was running.
    socket.on('error', () => this.destroy());
    socket.on('timeout', () => this.destroy());
    socket.on('end', () => this.destroy());
    socket.on('close', () => this.destroy());
  }

  get usable(): boolean {
    return this.#socket !== null && !this.#socket.destroyed && this.#running === null;
  }

  /** No request is running: the process may end, and so may the connection after `idleMs`. */
  rest(idleMs: number): void {
    this.#socket?.setTimeout(idleMs);
    this.#socket?.unref();
  }

  /** @throws what the receiver throws; everything that happens to the connection is an outcome */
  run(request: DirectRequest): Promise<DirectOutcome> {
    const socket = this.#socket;
    return new Promise((settle, fail) => {
      this.#running = { request, settle, fail, head: null, receivedBytes: 0 };
      this.#headBytes = 0;
      if (socket === null || socket.destroyed) {
        this.destroy();
        return;
      }
      socket.ref();
      socket.setTimeout(0);
      socket.write(request.text, 'latin1');
    });
  }

  /** Ends the running request with what it has. No byte is written to the receiver after this. */
  destroy(): void {
    this.#end(null, false);
  }

  #end(error: { readonly reason: unknown } | null, reusable: boolean): void {
    const running = this.#running;
    this.#running = null;
    this.#room = null;
    this.#waiting = null;
    if (!reusable) this.#socket?.destroy();
    if (running === null) return;
    running.request.watchdog.stop();
    const { head, receivedBytes } = running;
    if (error === null) running.settle({ receivedBytes, head, reusable });
    else running.fail(error.reason);
  }

  /** `length` bytes were read into the buffer that was named last. False: read no more for now. */
  #take(length: number): boolean {
    const running = this.#running;
    if (running === null) {
      // Nothing was asked for.
      this.destroy();
      return false;
    }
    running.request.watchdog.progress();
    try {
      const inRoom = this.#readsIntoRoom;
      this.#room = null;
      if (inRoom) {
        this.#received(running, length);
        if (this.#running === running) this.#findRoom(running);
      } else if (running.head !== null) this.#deliver(running, this.#spill.subarray(0, length));
      else this.#takeHead(running, length);
    } catch (reason) {
      this.#end({ reason }, false);
    }
    return this.#running === null ? !this.#socket?.destroyed : this.#waiting === null;
  }

  #takeHead(running: Running, length: number): void {
    this.#headBytes += length;
    const bytes = this.#spill.subarray(0, this.#headBytes);
    const end = headLength(bytes);
    if (end < 0 && this.#headBytes <= MAX_HEAD_BYTES) return;
    const text = Buffer.from(bytes.buffer, 0, Math.max(0, end)).toString('latin1');
    running.head = end < 0 || end > MAX_HEAD_BYTES ? null : parseHead(text);
    if (running.head === null || !isPlainRange(running.head, running.request.range)) {
      this.destroy();
      return;
    }
    this.#deliver(running, bytes.subarray(end));
  }

  /** Copies bytes that came into the spill to where they belong, as far as there is room. */
  #deliver(running: Running, bytes: Uint8Array): void {
    let rest = bytes;
    this.#waiting = null;
    while (rest.length > 0) {
      const room = running.request.receiver.room();
      if (room === null) {
        this.#wait(running, rest);
        return;
      }
      const count = Math.min(room.length, rest.length);
      room.set(rest.subarray(0, count));
      rest = rest.subarray(count);
      this.#received(running, count);
      if (this.#running !== running) return;
    }
    this.#findRoom(running);
  }

  #received(running: Running, count: number): void {
    const { range, receiver } = running.request;
    const lengthBytes = range.end - range.start;
    const leftBytes = lengthBytes - running.receivedBytes;
    receiver.received(0, Math.min(count, leftBytes));
    running.receivedBytes = Math.min(lengthBytes, running.receivedBytes + count);
    if (running.receivedBytes < lengthBytes) return;
    const { head } = running;
    this.#end(null, count === leftBytes && head !== null && keepsAlive(head));
  }

  #findRoom(running: Running): void {
    const room = running.request.receiver.room();
    if (room === null) this.#wait(running, this.#spill.subarray(0, 0));
    else {
      const leftBytes = running.request.range.end - running.request.range.start;
      this.#room = room.subarray(0, leftBytes - running.receivedBytes);
    }
  }

  /** Stops reading until the receiver has room; nobody's silence counts meanwhile. */
  #wait(running: Running, waiting: Uint8Array): void {
    const { receiver, watchdog } = running.request;
    this.#waiting = waiting;
    watchdog.pause();
    receiver.ready().then(
      () => {
        if (this.#running !== running) return;
        watchdog.resume();
        try {
          this.#deliver(running, this.#waiting ?? this.#spill.subarray(0, 0));
        } catch (reason) {
          this.#end({ reason }, false);
        }
        if (this.#running === null || this.#waiting === null) this.#socket?.resume();
      },
      (reason: unknown) => {
        if (this.#running === running) this.#end({ reason }, false);
      },
    );
  }

  /** Asked for after each read, so a change while reading is stopped shows one read later. */
  #nextBuffer(): Uint8Array {
    this.#readsIntoRoom = this.#room !== null;
    return this.#room ?? this.#spill.subarray(this.#running?.head === null ? this.#headBytes : 0);
  }
}
