import type { Body } from '../http/index.js';
import { copyInto } from '../platform/index.js';
import type { Incoming } from './node-request.js';

/** Bodies of node:http requests. */

/** Bytes taken from the socket before they are read, so that it is not stopped for each piece. */
const READ_AHEAD_BYTES = 256 * 1024;

const NOTHING = new Uint8Array(0);

/**
 * The request body, taken from the socket only when it is read. Nothing moves before the first
 * read: whoever waits for memory, or is turned away, costs none.
 *
 * A `fill` that waits has its bytes written as they arrive and settles when `into` is full, or all that
 * lay ready in this turn of the event loop has been read: one step for many pieces.
 */
export function bodyOfRequest(incoming: Incoming): Body {
  const { request, response } = incoming;
  const pieces: Uint8Array[] = [];
  let waitingBytes = 0;
  let end: 'ended' | Error | undefined;
  let started = false;
  let wake: (() => void) | undefined;
  /** Of the `fill` that waits: the part that nothing is written to yet, and how much is. */
  let room: Uint8Array = NOTHING;
  let filled = 0;

  const stirred = (): void => {
    incoming.waitsForClient = false;
    wake?.();
    wake = undefined;
  };

  const keep = (piece: Uint8Array): void => {
    pieces.push(piece);
    waitingBytes += piece.byteLength;
    if (waitingBytes >= READ_AHEAD_BYTES) request.pause();
  };

  /** Copies the front of `piece` to where it is wanted; what did not fit is returned. */
  const copied = (piece: Uint8Array): Uint8Array => {
    const count = Math.min(piece.byteLength, room.byteLength);
    copyInto(room, 0, count < piece.byteLength ? piece.subarray(0, count) : piece);
    room = room.subarray(count);
    filled += count;
    if (count < piece.byteLength) return piece.subarray(count);
    incoming.freePiece?.(piece);
    return NOTHING;
  };

  const arrived = (chunk: Uint8Array): void => {
    if (incoming.discards) return;
    // Not the Buffer itself, whose slice() is a view where everyone else's is a copy.
    const piece = new Uint8Array(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    const isFirst = filled === 0;
    const rest = room.byteLength > 0 ? copied(piece) : piece;
    if (rest.byteLength > 0) keep(rest);
    if (room.byteLength === 0) stirred();
    else if (isFirst) setImmediate(stirred);
  };

  const start = (): void => {
    started = true;
    if (incoming.expectsContinue) {
      incoming.expectsContinue = false;
      response.writeContinue();
    }
    request.on('data', arrived);
    request.once('end', () => {
      end = 'ended';
      stirred();
    });
    request.once('error', () => undefined);
    request.once('close', () => {
      end ??= new Error('the client is gone');
      stirred();
    });
    if (request.destroyed) end ??= new Error('the client is gone');
  };

  /** Resolves when something has come, or nothing more will. */
  async function wait(): Promise<void> {
    if (!started) start();
    if (pieces.length > 0 || end !== undefined) return;
    incoming.waitsForClient = true;
    request.resume();
    await new Promise<void>((resolve) => {
      wake = resolve;
    });
  }

  function next(): Uint8Array {
    const piece = pieces.shift() ?? NOTHING;
    waitingBytes -= piece.byteLength;
    return piece;
  }

  return {
    async take() {
      while (pieces.length === 0 && !(end instanceof Error)) {
        if (end === 'ended') return NOTHING;
        await wait();
      }
      if (pieces.length === 0 && end instanceof Error) throw end;
      return next();
    },
    async fill(into) {
      room = into;
      filled = 0;
      try {
        // Woken for the one before, there is nothing yet.
        while (filled === 0 && pieces.length === 0 && end === undefined) await wait();
        while (pieces.length > 0 && room.byteLength > 0) {
          const rest = copied(next());
          if (rest.byteLength === 0) continue;
          pieces.unshift(rest);
          waitingBytes += rest.byteLength;
        }
      } finally {
        room = NOTHING;
      }
      if (filled === 0 && end instanceof Error) throw end;
      return filled;
    },
    cancel() {
      if (end === 'ended' && pieces.length === 0) return;
      incoming.discards = true;
      pieces.length = 0;
      room = NOTHING;
      end ??= new Error('nobody reads the body any more');
      wake?.();
    },
  };
}
